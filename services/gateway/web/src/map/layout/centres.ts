// Where the islands are. Pure. Without any that is placed already, it depends on the set of islands alone; one that is
// placed stays, unless it has grown into another.

export interface Circle {
  readonly key: string;
  readonly radius: number;
  readonly cluster: string;
  readonly isShared: boolean;
}

export interface Centre {
  readonly x: number;
  readonly z: number;
}

/** Edges between two islands. */
export interface Bond {
  readonly one: string;
  readonly other: string;
  readonly weight: number;
}

/** A screen is wider than high. */
const [wide, deep] = [1.28, 0.84];
const golden = Math.PI * (3 - Math.sqrt(5));
/** Free places that are compared before the best one is taken. */
const choices = 28;
/** Water between two islands: their names are written there. */
const gap = (radius: number): number => 2.2 + radius * 0.2;

export function placeCentres(
  circles: readonly Circle[],
  bonds: readonly Bond[],
  kept: ReadonlyMap<string, Centre>,
): Map<string, Centre> {
  const inOrder = [...circles].sort(byImportance);
  const centres = new Map<string, Centre>();
  const taken = new Taken(Math.max(1, ...circles.map((each) => each.radius + gap(each.radius))));
  for (const circle of inOrder) {
    const centre = kept.get(circle.key);
    if (centre !== undefined && taken.isFree(centre, circle.radius)) {
      centres.set(circle.key, centre);
      taken.add(centre, circle.radius);
    }
  }
  const peers = peersOf(bonds);
  const origins = clusterOrigins(inOrder, centres);
  for (const circle of inOrder) {
    if (centres.has(circle.key)) continue;
    const centre = bestPlace(circle, origins.get(circle.cluster) as Centre, taken, (place) =>
      pull(place, peers.get(circle.key) ?? [], centres),
    );
    centres.set(circle.key, centre);
    taken.add(centre, circle.radius);
  }
  return centres;
}

/** What all others use comes first, and so into the middle; then the large ones, as small ones fit between them. */
function byImportance(one: Circle, other: Circle): number {
  return (
    Number(other.isShared) - Number(one.isShared) || other.radius - one.radius || (one.key < other.key ? -1 : 1)
  );
}

/** Among the free places nearest to the origin, the one nearest to what the island is connected with. */
function bestPlace(circle: Circle, origin: Centre, taken: Taken, cost: (place: Centre) => number): Centre {
  const step = Math.max(0.8, circle.radius * 0.55);
  let best: Centre | null = null;
  let least = Infinity;
  let found = 0;
  for (let turn = 0; found < choices; turn++) {
    const distance = step * Math.sqrt(turn);
    const angle = turn * golden;
    const place = { x: origin.x + wide * distance * Math.cos(angle), z: origin.z + deep * distance * Math.sin(angle) };
    if (!taken.isFree(place, circle.radius)) continue;
    found += 1;
    const price = distance + cost(place);
    if (price < least) [best, least] = [place, price];
    if (turn === 0) break;
  }
  return best as Centre;
}

/** Mean distance to the connected islands that have their place, by weight. */
function pull(place: Centre, peers: readonly (readonly [string, number])[], centres: ReadonlyMap<string, Centre>): number {
  let [sum, weights] = [0, 0];
  for (const [key, weight] of peers) {
    const peer = centres.get(key);
    if (peer === undefined) continue;
    sum += weight * Math.hypot(place.x - peer.x, place.z - peer.z);
    weights += weight;
  }
  return weights === 0 ? 0 : (0.8 * sum) / weights;
}

function peersOf(bonds: readonly Bond[]): Map<string, [string, number][]> {
  const peers = new Map<string, [string, number][]>();
  const add = (key: string, peer: string, weight: number): void => {
    const known = peers.get(key);
    if (known === undefined) peers.set(key, [[peer, weight]]);
    else known.push([peer, weight]);
  };
  for (const { one, other, weight } of bonds) {
    add(one, other, weight);
    add(other, one, weight);
  }
  for (const known of peers.values()) known.sort(([one], [other]) => (one < other ? -1 : 1));
  return peers;
}

/** The middle of each cluster: of its islands that are placed, else beside the clusters before it. */
function clusterOrigins(circles: readonly Circle[], placed: ReadonlyMap<string, Centre>): Map<string, Centre> {
  const areas = new Map<string, number>();
  for (const { cluster, radius } of circles) areas.set(cluster, (areas.get(cluster) ?? 0) + (radius + gap(radius)) ** 2);
  const origins = new Map<string, Centre>();
  let edge: number | null = null;
  for (const [cluster, area] of [...areas].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const reach = Math.sqrt(area) * 1.2;
    const own = circles.flatMap((each) => (each.cluster === cluster ? (placed.get(each.key) ?? []) : []));
    const x: number = own.length > 0 ? mean(own.map((each) => each.x)) : edge === null ? 0 : edge + reach * 1.15;
    origins.set(cluster, { x, z: own.length > 0 ? mean(own.map((each) => each.z)) : 0 });
    edge = Math.max(edge ?? -Infinity, x + reach);
  }
  return origins;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

/** The circles that are placed, by the cell of a grid. */
class Taken {
  readonly #cells = new Map<string, { x: number; z: number; radius: number }[]>();
  readonly #cell: number;

  /** `reach`: no circle with its gap is larger. */
  constructor(reach: number) {
    this.#cell = reach * 2;
  }

  add({ x, z }: Centre, radius: number): void {
    const key = `${Math.floor(x / this.#cell)} ${Math.floor(z / this.#cell)}`;
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, [{ x, z, radius }]);
    else cell.push({ x, z, radius });
  }

  isFree({ x, z }: Centre, radius: number): boolean {
    const [column, row] = [Math.floor(x / this.#cell), Math.floor(z / this.#cell)];
    for (let right = column - 1; right <= column + 1; right++) {
      for (let down = row - 1; down <= row + 1; down++) {
        for (const each of this.#cells.get(`${right} ${down}`) ?? []) {
          const least = each.radius + radius + Math.max(gap(each.radius), gap(radius));
          if (Math.hypot(x - each.x, z - each.z) < least) return false;
        }
      }
    }
    return true;
  }
}
