// A resource of the API that a page shows: read, read anew when something happened, kept meanwhile.
import { get, getAgain } from "../api.js";
import { useEffect, useRef, useState } from "../html.js";
import { listen, state } from "../live.js";
import { inTurn, settle } from "./purse.js";

const MAX_AGE_S = 2;

/**
 * `fits` says which events make it worth reading anew; that happens every `everyMs` at most, and as the purse allows.
 * Without `fits` it is read once.
 */
export function useResource(relative, { fits, everyMs = 2000 } = {}) {
  const [found, setFound] = useState({ of: null, data: null, error: null });
  const current = useRef({});
  current.current.relative = relative;
  current.current.fits = fits;
  current.current.everyMs = everyMs;

  const read = async (again = false) => {
    const asked = current.current.relative;
    if (asked === null || current.current.busy === asked) return;
    current.current.busy = asked;
    current.current.at = Date.now();
    try {
      const data = again ? await getAgain(asked, MAX_AGE_S, again) : await get(asked);
      if (current.current.relative === asked) setFound({ of: asked, data, error: null });
    } catch (error) {
      if (current.current.relative === asked)
        setFound((was) => ({ of: asked, data: was.of === asked ? was.data : null, error }));
    } finally {
      if (current.current.busy === asked) current.current.busy = null;
    }
  };

  useEffect(() => {
    read();
    let timer = 0;
    let leave = null;
    let calls = 1; // what a reading costs: as the last one did
    const inLine = () => {
      timer = 0;
      const expected = calls;
      const told = (cost) => {
        settle(cost - expected);
        calls = Math.max(1, cost);
      };
      leave = inTurn(() => {
        leave = null;
        read(told);
      }, expected);
    };
    const soon = () => {
      if (timer || leave || state.value === "paused") return;
      timer = setTimeout(inLine, Math.max(50, (current.current.at ?? 0) + current.current.everyMs - Date.now()));
    };
    const stop = listen((event) => {
      if (event.kind === "reset" || current.current.fits?.(event)) soon();
    });
    return () => {
      clearTimeout(timer);
      leave?.();
      stop();
    };
  }, [relative]);

  const fresh = found.of === relative ? found : { data: null, error: null };
  return { data: fresh.data, error: fresh.error, reload: () => read() };
}

/** A list by cursor: pages are added as they are asked for. */
export function useList(address, options = {}) {
  const first = useResource(address({}), options);
  const [more, setMore] = useState({ of: null, items: [], cursor: null, error: null });
  const key = address({});
  const mine = more.of === key ? more : { items: [], cursor: undefined, error: null };
  const cursor = mine.cursor === undefined ? first.data?.cursor : mine.cursor;
  const load = async () => {
    try {
      const page = await get(address({ cursor }));
      setMore({ of: key, items: [...mine.items, ...page.items], cursor: page.cursor, error: null });
    } catch (error) {
      setMore({ of: key, items: mine.items, cursor, error });
    }
  };
  const seen = new Set(first.data?.items.map((one) => one.id));
  const items = first.data && [...first.data.items, ...mine.items.filter((one) => !seen.has(one.id))];
  return { data: items, error: first.error ?? mine.error, reload: first.reload, more: cursor ? load : null };
}
