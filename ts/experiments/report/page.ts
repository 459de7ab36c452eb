import type { ImageDataset } from '../../data';
import type { FashionMnistResults } from '../results';
import { html, trusted } from './html';
import { pictureUri } from './pictures';
import { confusion, curves, facts, headline, mistakes, planes } from './sections';
import { STYLE } from './style';

/**
 * The report as one HTML document that refers to nothing outside itself.
 *
 * @param test the test images, from which the mistakes' pictures are taken
 */
export async function renderReport(results: FashionMnistResults, test: ImageDataset): Promise<string> {
  const pictures = await Promise.all(results.mistakes.map(({ index }) => pictureUri(test, index)));
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>SphereNet on Fashion-MNIST</title>
        <link rel="icon" href="data:," />
        <style>
          ${trusted(STYLE)}
        </style>
      </head>
      <body>
        ${headline(results)}
        <main>
          ${curves(results)} ${planes(results)} ${confusion(results)} ${mistakes(results, pictures)}
          ${facts(results)}
        </main>
        <footer>
          Written by spherenet ${results.version} on ${results.created.slice(0, 10)}. SphereConv, W-Softmax
          and GA-Softmax: W. Liu et al., Deep Hyperspherical Learning, NIPS 2017. Pictures: Fashion-MNIST,
          Zalando Research, MIT licence.
        </footer>
      </body>
    </html>`;
  return `${page.text.replace(/^ +/gm, '').replace(/\n{2,}/g, '\n')}\n`;
}
