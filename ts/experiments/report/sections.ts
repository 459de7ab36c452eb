import type { FashionMnistResults, FeaturePlane, Mistake } from '../results';
import { accuracyChart, classColor, lossChart, planeChart } from './charts';
import { html } from './html';
import type { Markup } from './html';
import { count, duration, listing, percent } from './words';

/** Title, one sentence that says it all, and the numbers behind it. */
export function headline(results: FashionMnistResults): Markup {
  const { data, machine, seconds, settings, test, history } = results;
  const trainingOnly = history.epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const imagesPerSecond = (history.epochs.length * data.trainImages) / trainingOnly;
  const margin = 1.96 * Math.sqrt((test.accuracy * (1 - test.accuracy)) / data.testImages);
  const numbers: [string, string][] = [
    ['test accuracy', percent(test.accuracy)],
    ['test loss', test.loss.toFixed(3)],
    ['images per second in training', count(imagesPerSecond)],
    ['time for training', duration(seconds.training)],
    ['parameters', count(results.parameters)],
  ];
  return html`
    <header>
      <h1>A SphereNet learns clothes</h1>
      <p class="lede">
        A hyperspherical network of ${settings.depth} convolutions went
        ${settings.epochs === 1 ? 'once' : `${settings.epochs} times`} through ${count(data.trainImages)}
        pictures from Fashion-MNIST, on ${deviceInWords(machine)}. Of ${count(data.testImages)} pictures that
        it had not seen, it names ${percent(test.accuracy)} correctly; with that many pictures, the figure is
        good to ±${(100 * margin).toFixed(1)} percentage points (95 % interval).
      </p>
      <dl class="numbers">
        ${numbers.map(
          ([name, value]) =>
            html`<div>
              <dt>${name}</dt>
              <dd>${value}</dd>
            </div>`,
        )}
      </dl>
    </header>
  `;
}

export function curves({ history, settings }: FashionMnistResults): Markup {
  return html`
    <section>
      <h2>How it learned</h2>
      <figure>
        <div class="pair" role="img" aria-label="Loss and accuracy over the epochs">
          ${[lossChart(history), accuracyChart(history)]}
        </div>
        <ul class="legend">
          <li><i class="line" style="background: var(--blue)"></i>training batches, running mean</li>
          <li><i class="line" style="background: var(--blue); opacity: .35"></i>single batches</li>
          <li><i style="background: var(--orange)"></i>test images, after each epoch</li>
        </ul>
        <figcaption>
          <b>Loss and accuracy.</b> ${lossInWords(settings.margin)} Training batches are measured while the
          network changes; the test images are seen by the network as it is at the end of an epoch, with the
          averages of its batch norms. In this run the test images steered nothing: neither the schedule nor
          which epoch is reported, which is the last.
        </figcaption>
      </figure>
    </section>
  `;
}

export function planes({ featurePlanes, data, settings }: FashionMnistResults): Markup {
  return html`
    <section>
      <h2>What angles do to features</h2>
      <p>
        Two more networks, trained for ${settings.planeEpochs} epochs each, squeeze every picture into two
        numbers before they decide. So all that they know of a picture can be drawn.
      </p>
      <figure>
        <div class="pair">${featurePlanes.map((plane) => planePanel(plane, data.classes.length))}</div>
        <ul class="legend">
          ${data.classes.map((name, label) => html`<li><i style="background: ${classColor(label)}"></i>${name}</li>`)}
        </ul>
        <figcaption>
          <b>Two features of each test picture</b>, coloured by its true class; the lines cross at the origin.
          The plain network is the surer of a class the farther out a picture lies in its direction: classes
          become streaks from the origin. The features of the SphereNet are cosines and cannot grow; what is
          left to it are angles, and classes gather in clusters on a ring. The paper’s authors show this
          picture for MNIST. Two features are few for ten classes, so both networks are less often right than
          the one above.
        </figcaption>
      </figure>
    </section>
  `;
}

export function confusion({ test, data }: FashionMnistResults): Markup {
  const { classes } = data;
  return html`
    <section>
      <h2>What it mixes up</h2>
      <figure>
        <div class="scroll">
          <table class="confusion">
            <thead>
              <tr>
                <th></th>
                ${classes.map((name) => html`<th scope="col">${name}</th>`)}
                <th scope="col" class="rate">correct</th>
              </tr>
            </thead>
            <tbody>
              ${classes.map((name, label) => confusionRow(name, label, test.confusion[label] ?? []))}
            </tbody>
          </table>
        </div>
        <figcaption>
          <b>Confusion matrix.</b> Each row holds the test images of one class, each column what the network
          called them. Blue is right, orange is wrong and at its fullest from a quarter of the row on.
          ${worstPair(test.confusion, classes)}
        </figcaption>
      </figure>
    </section>
  `;
}

/** @param pictures data URIs of the mistakes' images, in their order */
export function mistakes({ mistakes: list, data }: FashionMnistResults, pictures: readonly string[]): Markup {
  if (list.length === 0) return html``;
  return html`
    <section>
      <h2>Where it was sure, and wrong</h2>
      <figure>
        <div class="tiles">
          ${list.map((mistake, i) => mistakeTile(mistake, pictures[i] as string, data.classes))}
        </div>
        <figcaption>
          <b>The ${list.length} most confident mistakes</b> on the test images: what the network said, how
          probable it held that, and what the label says. Not every label is beyond doubt.
        </figcaption>
      </figure>
    </section>
  `;
}

export function facts(results: FashionMnistResults): Markup {
  const { settings, machine, data, seconds } = results;
  const curvature = settings.operator === 'sigmoid' ? `, k ${settings.k}` : '';
  const rows: [string, string][] = [
    [
      'network',
      `${settings.depth} SphereConv layers (${settings.operator}${curvature}) of ${listing(settings.widths.map(String))} channels, ` +
        `batch norm, ReLU and pooling after each block; a spherical layer of ${settings.features} features; ` +
        `${count(results.parameters)} parameters`,
    ],
    [
      'loss',
      settings.margin === 1
        ? 'W-Softmax: logits are the length of the features times the cosine of the angle'
        : `GA-Softmax with linear angles and margin ${settings.margin}`,
    ],
    [
      'training',
      `Adam, learning rate ${settings.learningRate} falling to 0 along half a cosine, batches of ${settings.batchSize}, ` +
        `${settings.epochs} epochs, seed ${settings.seed}`,
    ],
    [
      'data',
      data.folder === null
        ? `the part of Fashion-MNIST (Zalando Research, MIT licence) that comes with the package: ${count(data.trainImages)} ` +
          `training and ${count(data.testImages)} test images, equally many of each class. Not comparable with results on the full set`
        : `${count(data.trainImages)} training and ${count(data.testImages)} test images from ${data.folder}`,
    ],
    ['device', `${deviceInDetail(machine)}${machine.withoutCuda && `; ${machine.withoutCuda}`}`],
    [
      'time',
      `${duration(seconds.total)} in all: reading data ${duration(seconds.data)}, training with a test after each epoch ` +
        `${duration(seconds.training)}, final test ${duration(seconds.evaluation)}, the two feature planes ` +
        duration(seconds.featurePlanes),
    ],
    ['software', `spherenet ${results.version}, Node ${machine.node}, ${machine.platform}`],
  ];
  return html`
    <section>
      <h2>How to get the same</h2>
      <p>
        All numbers of this page are in <code>results.json</code> beside it. This command computes them again.
        With the same vector instructions and number of threads, they come out the same:
      </p>
      <pre><code>${results.command}</code></pre>
      <table class="facts">
        ${rows.map(
          ([name, value]) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td>${value}</td>
            </tr>`,
        )}
      </table>
    </section>
  `;
}

function planePanel(plane: FeaturePlane, classes: number): Markup {
  return html`
    <div class="panel" role="img" aria-label="${plane.title}: features of the test images">
      <h3>${plane.title} <span>names ${percent(plane.accuracy)} correctly</span></h3>
      ${planeChart(plane, classes)}
    </div>
  `;
}

function confusionRow(name: string, label: number, row: readonly number[]): Markup {
  const total = Math.max(
    1,
    row.reduce((a, b) => a + b, 0),
  );
  const cell = (value: number, prediction: number): Markup => {
    if (value === 0) return html`<td class="none">0</td>`;
    const share = value / total;
    const right = prediction === label;
    const strength = right ? share : Math.min(1, share / 0.25);
    const kind = `${right ? 'right' : 'wrong'}${strength > 0.6 ? ' strong' : ''}`;
    return html`<td class="${kind}" style="--share: ${strength.toFixed(3)}">${value}</td>`;
  };
  const rate = (row[label] ?? 0) / total;
  return html`
    <tr>
      <th scope="row">${name}</th>
      ${row.map(cell)}
      <td class="rate">
        <span class="bar"><i style="width: ${(100 * rate).toFixed(1)}%"></i></span>${percent(rate)}
      </td>
    </tr>
  `;
}

function mistakeTile(mistake: Mistake, picture: string, classes: readonly string[]): Markup {
  const said = classes[mistake.prediction] ?? `class ${mistake.prediction}`;
  const label = classes[mistake.label] ?? `class ${mistake.label}`;
  return html`
    <div class="tile">
      <img src="${picture}" alt="test image ${mistake.index}, labelled ${label}" />
      <b>${said}</b>
      <span>${percent(mistake.confidence, 0)} sure<br />labelled ${label}</span>
    </div>
  `;
}

/** Which class is taken for which other most often. */
function worstPair(matrix: readonly (readonly number[])[], classes: readonly string[]): string {
  let worst = { label: 0, prediction: 0, times: 0 };
  matrix.forEach((row, label) => {
    row.forEach((times, prediction) => {
      if (prediction !== label && times > worst.times) worst = { label, prediction, times };
    });
  });
  if (worst.times === 0) return 'No image was named wrongly.';
  const [label, prediction] = [classes[worst.label], classes[worst.prediction]];
  return `Most often a picture labelled ${label} was taken for ${prediction}: ${worst.times} times.`;
}

function lossInWords(margin: number): string {
  return margin === 1
    ? 'The loss is W-Softmax, which compares angles to the classes.'
    : `The loss is GA-Softmax, which counts the angle to the own class ${margin} times; that keeps it well above an ordinary ` +
        'cross-entropy.';
}

function deviceInWords(machine: FashionMnistResults['machine']): string {
  if (machine.device !== 'cpu') return `a GPU (${machine.processor})`;
  return `a CPU with ${machine.threads} ${machine.threads === 1 ? 'thread' : 'threads'}`;
}

function deviceInDetail({ device, processor, simd, threads }: FashionMnistResults['machine']): string {
  if (device !== 'cpu') return `${device}, ${processor}`;
  return `CPU, ${processor}, ${simd}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}
