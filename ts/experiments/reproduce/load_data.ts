import { join } from 'node:path';
import sharp from 'sharp';
import { cifar10, cifar100, fashionMnist, imageAt } from '../../data';
import type { ImageDataset, TrainTest } from '../../data';
import { findCifar10, findCifar100 } from '../../data/cifar';
import { listClasses } from '../../data/class_folders';
import { describeFolder, failData, listFolder } from '../../data/files';
import type { ClassifierConfig, RunConfig } from './config';
import { imagesInMemory, imagesOnDisk } from './run_images';
import type { RunImages, TrainTestFolders } from './run_images';

/** Folders that the command line was given. */
export interface DataFolders {
  /** CIFAR-10 in one of the forms that {@link cifar10} reads. */
  cifar10?: string | undefined;
  cifar100?: string | undefined;
  /** ImageNet as `train/<class>/*` and `val/<class>/*`. */
  imagenet?: string | undefined;
}

/** Finds the data of runs, and reads them when the first run needs them. */
export class DataShelf {
  private readonly loaded = new Map<string, Promise<TrainTest>>();

  /** Use {@link DataShelf.open}. */
  private constructor(
    private readonly folders: DataFolders,
    private readonly notes: Readonly<Record<string, string>>,
    private readonly imageNet: TrainTestFolders | null,
  ) {}

  /**
   * Looks into the folders, without reading the images.
   *
   * @throws SphereNetError (SPHERENET_DATA) naming a folder that does not hold what it should
   */
  static async open(folders: DataFolders): Promise<DataShelf> {
    const notes: Record<string, string> = {
      fashionMnist: 'the part of Fashion-MNIST that comes with this package',
    };
    if (folders.cifar10 !== undefined) notes['cifar10'] = (await findCifar10(folders.cifar10)).note;
    if (folders.cifar100 !== undefined) notes['cifar100'] = (await findCifar100(folders.cifar100)).note;
    const imageNet = folders.imagenet === undefined ? null : await findImageNet(folders.imagenet);
    if (imageNet !== null)
      notes['imagenet'] = `ImageNet from picture files, ${imageNet.classes.length} classes`;
    return new DataShelf(folders, notes, imageNet);
  }

  /** Where the images of a run come from; null where it uses none. */
  describe(config: RunConfig): string | null {
    const source = sourceOf(config);
    if (source === null) return null;
    return this.notes[source] ?? this.missing(source);
  }

  /** The images of a run; runs of equal data share what is in memory. */
  async images(config: ClassifierConfig): Promise<RunImages> {
    if (config.data.source === 'imagenet')
      return imagesOnDisk(config, this.imageNet ?? this.missing('imagenet'));
    return imagesInMemory(config, await this.once(JSON.stringify(config.data), () => this.cifar(config)));
  }

  /** The part of Fashion-MNIST that comes with this package. */
  fashionMnist(): Promise<TrainTest> {
    return this.once('fashionMnist', () => fashionMnist());
  }

  private once(key: string, read: () => Promise<TrainTest>): Promise<TrainTest> {
    const data = this.loaded.get(key) ?? read();
    this.loaded.set(key, data);
    return data;
  }

  private async cifar({ data }: ClassifierConfig): Promise<TrainTest> {
    const { source, trainPerClass, testPerClass, size } = data;
    const folder = this.folders[source] ?? this.missing(source);
    const limits = {
      trainPerClass: trainPerClass === 'all' ? undefined : trainPerClass,
      testPerClass: testPerClass === 'all' ? undefined : testPerClass,
    };
    const { train, test } = await (source === 'cifar10' ? cifar10(folder, limits) : cifar100(folder, limits));
    if (size === undefined) return { train, test };
    return { train: await resized(train, size), test: await resized(test, size) };
  }

  private missing(source: string): never {
    throw new Error(`the folder with ${source} was not given`);
  }
}

/**
 * Where ImageNet lies, found out without listing its pictures.
 *
 * @throws SphereNetError (SPHERENET_DATA) naming the folder that is missing, or whose classes are others
 */
async function findImageNet(folder: string): Promise<TrainTestFolders> {
  const expected = 'a folder with train/<class>/*.JPEG and val/<class>/*.JPEG';
  const names = (await listFolder(folder, expected)).map(({ name }) => name);
  if (!names.includes('train') || !names.includes('val')) failData(folder, expected, describeFolder(names));
  const [train, test] = [join(folder, 'train'), join(folder, 'val')];
  const [classes, tested] = [await listClasses(train), await listClasses(test)];
  const missing = classes.find((name) => !tested.includes(name));
  if (missing !== undefined) failData(test, `the class folders of ${train}`, `none for ${missing}`);
  const added = tested.find((name) => !classes.includes(name));
  if (added !== undefined) failData(test, `the class folders of ${train}`, `${added} too`);
  return { train, test, classes };
}

/** Every image at `size` × `size` pixels, between the old ones by a cubic. */
export async function resized(source: ImageDataset, size: number): Promise<ImageDataset> {
  const [height, width, channels] = source.shape;
  const raw = { width, height, channels: channels as 1 | 3 };
  const bytes = size * size * channels;
  const images = new Uint8Array(source.length * bytes);
  for (let i = 0; i < source.length; ++i) {
    const picture = sharp(imageAt(source, i), { raw }).resize(size, size, { fit: 'fill', kernel: 'cubic' });
    images.set(await picture.raw().toBuffer(), i * bytes);
  }
  return { ...source, images, shape: [size, size, channels] };
}

function sourceOf(config: RunConfig): string | null {
  if (config.kind === 'classifier') return config.data.source;
  return config.kind === 'featurePlane' ? 'fashionMnist' : null;
}
