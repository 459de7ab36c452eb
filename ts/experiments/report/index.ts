export { renderReport } from './page';
export { writeFiles } from './write';
