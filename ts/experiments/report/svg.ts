import { init } from 'echarts';
import type { EChartsOption } from 'echarts';

/** A chart as the text of an SVG file, drawn without a browser; its background is transparent by default. */
export function renderSvg(width: number, height: number, option: EChartsOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, backgroundColor: 'transparent', ...option });
    return (
      chart
        .renderToSVGString()
        // What follows a mouse in an interactive chart.
        .replace(/<style[\s\S]*?<\/style>/g, '')
        .replace(/ class="zr[^"]*"| pointer-events="visible"/g, '')
    );
  } finally {
    // Left alone, a chart keeps a timer, and that the process.
    chart.dispose();
  }
}
