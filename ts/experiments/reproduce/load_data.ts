import sharp from 'sharp';
import { cifar10, cifar100, fashionMnist, imageAt } from '../../data';
import type { ImageDataset, TrainTest } from '../../data';
import { findCifar10, findCifar100 } from '../../data/cifar';
import type { RunConfig } from './config';

/** Folders that the command line was given. */
export interface DataFolders {
  /** CIFAR-10 in one of the forms that {@link cifar10} reads. */
  cifar10?: string | undefined;
  cifar100?: string | undefined;
}

/** Finds the data of runs, and reads them when the first run needs them. */
export class DataShelf {
  private readonly loaded = new Map<string, Promise<TrainTest>>();

  /** Use {@link DataShelf.open}. */
  private constructor(
    private readonly folders: DataFolders,
    private readonly notes: Readonly<Record<string, string>>,
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
    return new DataShelf(folders, notes);
  }

  /** Where the images of a run come from; null where it uses none. */
  describe(config: RunConfig): string | null {
    const source = sourceOf(config);
    if (source === null) return null;
    return this.notes[source] ?? this.missing(source);
  }

  /** The images of a run; runs of equal data share them. */
  load(config: RunConfig): Promise<TrainTest> {
    const key = JSON.stringify(config.kind === 'classifier' ? config.data : config.kind);
    const data = this.loaded.get(key) ?? this.read(config);
    this.loaded.set(key, data);
    return data;
  }

  private async read(config: RunConfig): Promise<TrainTest> {
    if (config.kind !== 'classifier') return fashionMnist();
    const { source, trainPerClass, testPerClass, size } = config.data;
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
