// Where the steps of a graph stand: a column a level, and lanes for arrows that pass a level by.
export const WIDTH = 136; // of a node, in px
const BETWEEN = 28; // columns
const APART = 14; // nodes of a column
const ANCHOR = 31; // how far below its top an arrow meets a node
const LANE = 10; // as high is the room for an arrow that passes by
const SWEEPS = 4;

const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;

/** Columns of places: each has `id` and `high`; an arrow that passes by has a place without a step, one for all that come from the same step. */
function columnsOf(steps, highOf) {
  const levels = Math.max(-1, ...steps.map((one) => one.level)) + 1;
  const columns = Array.from({ length: levels }, () => []);
  const levelOf = new Map(steps.map((one) => [one.id, one.level]));
  const last = new Map(); // the last level to which arrows of a step lead
  for (const { needs, level } of steps) for (const need of needs) last.set(need, Math.max(level, last.get(need) ?? 0));
  const places = new Map();
  const put = (level, id, high, step) => {
    const place = { id, high, level, step, before: [], after: [] };
    columns[level].push(place);
    places.set(`${level} ${id}`, place);
  };
  for (const one of steps) {
    put(one.level, one.id, highOf(one), one);
    for (let level = one.level + 1; level < (last.get(one.id) ?? 0); level++) put(level, one.id, LANE, null);
  }
  const links = new Map();
  const link = (from, to, target) => {
    const key = `${from.level} ${from.id} ${to.id}`;
    const known = links.get(key);
    if (known) return known.targets.push(target);
    from.after.push(to);
    to.before.push(from);
    links.set(key, { from, to, targets: [target] });
  };
  for (const { id, needs, level } of steps)
    for (const need of needs) {
      let from = places.get(`${levelOf.get(need)} ${need}`);
      for (let at = from.level + 1; at <= level; at++) {
        const to = places.get(`${at} ${at === level ? id : need}`);
        link(from, to, id);
        from = to;
      }
    }
  return { columns, links: [...links.values()] };
}

/** Each column in the order of what its places are tied to, so that few arrows cross. */
function order(columns) {
  const number = () => {
    for (const column of columns) for (const [at, place] of column.entries()) place.at = at;
  };
  number();
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 ? "after" : "before";
    for (const column of sweep % 2 ? columns.toReversed() : columns) {
      for (const place of column) place.wish = place[side].length ? mean(place[side].map((one) => one.at)) : place.at;
      column.sort((a, b) => a.wish - b.wish || a.at - b.at);
      number();
    }
  }
}

/** Each place as near to the height of what it is tied to as its column allows. */
function stand(columns) {
  const middle = (place) => place.y + (place.step ? Math.min(ANCHOR, place.high / 2) : place.high / 2);
  for (const column of columns) {
    let y = 0;
    for (const place of column) {
      place.y = y;
      y += place.high + APART;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 ? "after" : "before";
    for (const column of sweep % 2 ? columns.toReversed() : columns) {
      const wishes = column.map((place) => {
        const steps = place[side].filter((one) => one.step); // a lane gives way to a node, and not the other way round
        const ties = steps.length ? steps : place[side];
        return ties.length ? mean(ties.map(middle)) - (middle(place) - place.y) : place.y;
      });
      let free = Number.NEGATIVE_INFINITY;
      for (const [at, place] of column.entries()) {
        place.y = Math.max(wishes[at], free);
        free = place.y + place.high + APART;
      }
      if (!column.length) continue;
      const nodes = column.filter((place) => place.step);
      const off = mean(nodes.map((place) => wishes[column.indexOf(place)] - place.y));
      for (const place of column) place.y += off;
    }
  }
  const least = columns.flat().reduce((found, one) => Math.min(found, one.y), Number.POSITIVE_INFINITY);
  for (const place of columns.flat()) place.y = Math.round(place.y - least);
  return middle;
}

/** A line from one place to the next, with rounded corners. */
function bend(x1, y1, x2, y2, turn) {
  const down = y2 - y1;
  if (Math.abs(down) < 1) return `M${x1} ${y1}H${x2}`;
  const r = Math.min(7, Math.abs(down) / 2);
  const sign = Math.sign(down);
  return `M${x1} ${y1}H${turn - r}Q${turn} ${y1} ${turn} ${y1 + sign * r}V${y2 - sign * r}Q${turn} ${y2} ${turn + r} ${y2}H${x2}`;
}

/**
 * The graph of `steps` ({id, level, needs}; `highOf` says how high a step's node is, in px):
 * `nodes` by id with their place, and `arrows`, each a path with the steps it comes from and leads to.
 */
export function layers(steps, highOf) {
  const { columns, links } = columnsOf(steps, highOf);
  order(columns);
  const middle = stand(columns);
  const x = (level) => level * (WIDTH + BETWEEN);
  const arrows = links.map(({ from, to, targets }) => {
    const x1 = from.step ? x(from.level) + WIDTH : x(from.level) + WIDTH / 2;
    const x2 = to.step ? x(to.level) - 1 : x(to.level) + WIDTH / 2;
    const turn = x(to.level) - BETWEEN / 2 - 3 + (from.at % 3) * 3;
    return { from: from.id, targets, ends: Boolean(to.step), x: x2, y: middle(to), d: bend(x1, middle(from), x2, middle(to), turn) };
  });
  const nodes = new Map();
  for (const place of columns.flat()) if (place.step) nodes.set(place.id, { x: x(place.level), y: place.y, high: place.high });
  const high = columns.flat().reduce((found, one) => Math.max(found, one.y + one.high), 0);
  return { nodes, arrows, width: Math.max(0, x(columns.length - 1) + WIDTH), height: high };
}

/** The level of each step by what it needs: as many others come before it, one after the other. */
export function levelsOf(needsOf) {
  const found = new Map();
  const level = (id, above = new Set()) => {
    if (found.has(id) || above.has(id)) return found.get(id) ?? 0;
    above.add(id);
    const needs = (needsOf[id] ?? []).filter((one) => one in needsOf);
    found.set(id, Math.max(-1, ...needs.map((one) => level(one, above))) + 1);
    return found.get(id);
  };
  for (const id of Object.keys(needsOf)) level(id);
  return found;
}
