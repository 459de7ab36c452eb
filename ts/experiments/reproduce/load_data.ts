import { cifar10, cifar100, fashionMnist } from '../../data';
import type { TrainTest } from '../../data';
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
    const { source, trainPerClass, testPerClass } = config.data;
    const folder = this.folders[source] ?? this.missing(source);
    const limits = {
      trainPerClass: trainPerClass === 'all' ? undefined : trainPerClass,
      testPerClass: testPerClass === 'all' ? undefined : testPerClass,
    };
    return source === 'cifar10' ? cifar10(folder, limits) : cifar100(folder, limits);
  }

  private missing(source: string): never {
    throw new Error(`the folder with ${source} was not given`);
  }
}

function sourceOf(config: RunConfig): string | null {
  if (config.kind === 'classifier') return config.data.source;
  return config.kind === 'featurePlane' ? 'fashionMnist' : null;
}
