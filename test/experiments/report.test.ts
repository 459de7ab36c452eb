import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { smooth } from '../../ts/experiments/report/charts';
import { escape, html } from '../../ts/experiments/report/html';
import { renderReport } from '../../ts/experiments/report/page';
import { duration, listing } from '../../ts/experiments/report/words';
import { formatJson, writeFiles } from '../../ts/experiments/report/write';
import type { FashionMnistResults } from '../../ts/experiments/results';
import { syntheticImages, syntheticResults } from './synthetic';

const VOID = new Set(['meta', 'link', 'img', 'br', '!doctype']);

/** Names of elements that are opened and not closed, or closed and not opened, in order. */
function unbalanced(page: string): string[] {
  const wrong: string[] = [];
  const open: string[] = [];
  const body = page.replace(/<style>[\s\S]*?<\/style>/g, '');
  for (const [, closing, name, rest] of body.matchAll(/<(\/?)([!\w]+)((?:"[^"]*"|[^">])*)>/g)) {
    const tag = (name as string).toLowerCase();
    if (VOID.has(tag) || rest?.endsWith('/')) continue;
    if (closing === '') open.push(tag);
    else if (open.pop() !== tag) wrong.push(tag);
  }
  return [...wrong, ...open];
}

async function page(change: (results: FashionMnistResults) => void = () => undefined): Promise<string> {
  const results = syntheticResults();
  change(results);
  return renderReport(results, syntheticImages());
}

describe('renderReport', () => {
  it('is one balanced document', async () => {
    const text = await page();
    expect(text.startsWith('<!doctype html>')).toBe(true);
    expect(unbalanced(text)).toEqual([]);
    expect(unbalanced('<p><b>x</p>')).not.toEqual([]);
  });

  it('refers to nothing outside itself', async () => {
    const text = await page();
    const references = [
      ...text.matchAll(/(?:src|href|url|@import|srcset|action)\s*[=(]\s*["']?([^"')\s>]+)/gi),
    ];
    expect(references.length).toBeGreaterThan(4);
    expect(references.filter(([, target]) => !/^(data:|#)/.test(target as string))).toEqual([]);
    expect(text).not.toMatch(/<script/i);
    expect(text).not.toMatch(/https?:/);
  });

  it('shows what was found out', async () => {
    const text = await page();
    for (const shown of [
      '85.0 %',
      '12,345',
      'avx2, 2 threads',
      'built without it',
      'spherenet train --seed 1',
    ]) {
      expect(text).toContain(shown);
    }
    expect(text.match(/<svg /g)).toHaveLength(4);
    expect(text.match(/src="data:image\/png;base64,/g)).toHaveLength(4);
    expect(text).not.toMatch(/undefined|NaN|\[object/);
  });

  it('escapes what comes from outside', async () => {
    const hostile = `<img src=x onerror="alert('1')">&amp;`;
    const text = await page((results) => {
      results.command = hostile;
      results.machine.processor = hostile;
      results.data = { ...results.data, folder: hostile, classes: results.data.classes.map(() => hostile) };
    });
    expect(text).not.toContain('<img src=x');
    expect(text).toContain('&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;');
    expect(unbalanced(text)).toEqual([]);
  });

  it('manages with one epoch and with no mistake at all', async () => {
    const text = await page((results) => {
      results.history.epochs.splice(1);
      results.mistakes = [];
      results.test.confusion = results.test.confusion.map((_, i, rows) =>
        rows.map((__, j) => (i === j ? 20 : 0)),
      );
    });
    expect(text).toContain('No image was named wrongly.');
    expect(text).not.toContain('Where it was sure');
    expect(unbalanced(text)).toEqual([]);
  });

  it('is the same for the same results', async () => {
    // Charts number their clip paths through the life of the process.
    const plain = (text: string): string => text.replace(/zr\d+/g, 'zr');
    expect(plain(await page())).toBe(plain(await page()));
  });
});

describe('html', () => {
  it('escapes values and keeps markup', () => {
    expect(html`<b title="${'"<'}">${[html`<i>${1}</i>`, html`&amp;`]}</b>`.text).toBe(
      '<b title="&quot;&lt;"><i>1</i>&amp;</b>',
    );
    expect(escape(`&<>"'`)).toBe('&amp;&lt;&gt;&quot;&#39;');
  });
});

describe('words and numbers of the report', () => {
  it('says durations and lists as people do', () => {
    expect([0.04, 9.96, 59.4, 59.6, 125].map(duration)).toEqual([
      '0.0 s',
      '10 s',
      '59 s',
      '1 min 00 s',
      '2 min 05 s',
    ]);
    expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(listing)).toEqual(['', 'a', 'a and b', 'a, b and c']);
  });

  it('smooths without a pull to where it began', () => {
    expect(smooth([3, 3, 3])).toEqual([3, 3, 3].map((value) => expect.closeTo(value, 12) as number));
    expect(smooth([])).toEqual([]);
  });
});

describe('writeFiles', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-report-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('makes the folder, replaces what is there and leaves nothing else', async () => {
    const place = join(folder, 'a/b');
    await writeFiles(place, { 'x.txt': 'old' });
    expect(await writeFiles(place, { 'x.txt': 'new', 'y.txt': 'too' })).toEqual([
      join(place, 'x.txt'),
      join(place, 'y.txt'),
    ]);
    expect((await readdir(place)).sort()).toEqual(['x.txt', 'y.txt']);
    expect(await readFile(join(place, 'x.txt'), 'utf8')).toBe('new');
  });

  it('names the folder that it cannot write to', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(writeFiles(join(folder, 'file'), { 'x.txt': '' })).rejects.toThrow(
      'file: expected a folder to write the report to, got ',
    );
  });
});

describe('formatJson', () => {
  it('keeps arrays of numbers on a line and every value', () => {
    const value = { a: [1, -2.5, 1e-9], b: ['1', [2]], c: { d: [] }, e: 'x [1,\n 2]' };
    const text = formatJson(value);
    expect(text).toContain('"a": [1,-2.5,1e-9]');
    expect(JSON.parse(text)).toEqual(value);
  });
});
