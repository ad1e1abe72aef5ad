// BullMQ: acknowledged after the run, result kept (its default keeps completed jobs for ever).
// The same acts as drive.py: node bullmq.mjs enqueue|pings|timed|burst|worker NUMBERS
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

// The package lives in the benchmark's own environment, not beside this file.
const require = createRequire(path.join(process.env.BENCH_NODE, "package.json"));
const { Queue, Worker } = require("bullmq");

const [host, port] = process.env.BENCH_REDIS.split(":");
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const [what, ...rest] = process.argv.slice(2);
const numbers = rest.map(Number);
const BATCH = 100;
const wall = () => (performance.timeOrigin + performance.now()) / 1000;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// What `works.py` makes, of as many bytes.
const FILLER = "leave it at the door, ".repeat(50000);

function order(sizes, number, note) {
  return {
    order: 10000000 + number,
    customer: `customer-${String(number).padStart(8, "0")}`,
    items: [
      { sku: `A-${String(number % 997).padStart(4, "0")}`, count: 2, price: 9.75 },
      { sku: "B-0077", count: 1, price: 120.5 },
    ],
    answer: sizes[1],
    log: sizes[2],
    note,
  };
}

function result(data) {
  const note = FILLER.slice(0, data.answer - 57);
  return { order: data.order, state: "done", total: 140.5 + data.order % 100, note };
}

function jobs(sizes, first, size) {
  if (!sizes[0]) return Array.from({ length: size }, () => ({ name: "noop", data: {} }));
  const note = FILLER.slice(0, sizes[0] - JSON.stringify(order(sizes, 0, "")).length);
  return Array.from({ length: size }, (_, at) => ({ name: "work", data: order(sizes, first + at, note) }));
}

async function dues(queue, instants) {
  const jobs = instants.map((at) => ({
    name: "stamp", data: { due: at }, opts: { delay: Math.max(0, Math.round((at - wall()) * 1000)) },
  }));
  await queue.addBulk(jobs);
}

const acts = {
  async enqueue(queue, count, ...sizes) {
    const started = performance.now();
    for (let at = 0; at < count; at += BATCH) {
      const size = Math.min(BATCH, count - at);
      await queue.addBulk(jobs(sizes, at, size));
    }
    return { seconds: (performance.now() - started) / 1000 };
  },
  async pings(queue, count, gap) {
    for (let at = 0; at < count; at++) {
      await sleep(gap * (0.7 + 0.6 * ((at * 0.618) % 1)));
      await queue.add("stamp", { due: wall() });
    }
    return {};
  },
  async timed(queue, rate, seconds) {
    const first = wall() + 3;
    const all = Array.from({ length: rate * seconds }, (_, at) => first + at / rate);
    for (let at = 0; at < all.length; at += BATCH) {
      await dues(queue, all.slice(at, at + BATCH));
      await sleep(Math.max(0, (all[at] - 2.5 - wall()) * 1000));
    }
    return { until_s: all[all.length - 1] };
  },
  async burst(queue, count, lead) {
    const due = wall() + lead;
    for (let at = 0; at < count; at += BATCH) {
      await dues(queue, new Array(Math.min(BATCH, count - at)).fill(due));
    }
    return { due_s: due, spare_s: due - wall() };
  },
};

function work() {
  const folder = process.env.BENCH_TALLY;
  const row = Buffer.alloc(24);
  const counts = fs.openSync(`${folder}/${process.pid}.count`, "w");
  const delays = fs.openSync(`${folder}/${process.pid}.delays`, "w");
  let count = 0, first = 0, last = 0, written = 0, late = [];
  const write = () => {
    if (count === written) return;
    written = count;
    row.writeBigInt64LE(BigInt(count), 0);
    row.writeDoubleLE(first, 8);
    row.writeDoubleLE(last, 16);
    fs.writeSync(counts, row, 0, 24, 0);
    if (late.length) fs.writeSync(delays, Buffer.from(new Float64Array(late).buffer));
    late = [];
  };
  setInterval(write, 5);
  new Worker("bench", async (job) => {
    const now = wall();
    if (job.name === "stamp") late.push(now - job.data.due);
    if (count === 0) first = now;
    count++;
    last = now;
    return job.name === "work" ? result(job.data) : null;
  }, { connection, concurrency: Number(process.env.BENCH_CONCURRENCY) });
}

if (what === "worker") {
  work();
} else {
  const queue = new Queue("bench", { connection });
  await queue.waitUntilReady();
  console.log(JSON.stringify(await acts[what](queue, ...numbers)));
  await queue.close();
}
