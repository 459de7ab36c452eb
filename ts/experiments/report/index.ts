export { renderReport } from './page';
export { formatJson, writeFiles } from './write';
