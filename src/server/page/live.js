// The way to the daemon: everything once, then what happens as it happens; asked for from time to time where that does not
// get through; begun anew where it breaks.

import { ask } from "./api.js";
import { EventReader } from "./events.js";

/** The daemon says something every fifteen seconds at least. */
const SILENT = 40_000;
/** The first words come at once, unless somebody on the way holds them back. */
const HELD_BACK = 8_000;
const POLL_EVERY = 5_000;
/** How often it is tried to follow again where it is asked for from time to time. */
const POLLS = 6;
/** Who is not looked at leaves the seat to others. */
const UNSEEN = 60_000;
const PAUSES = [1_000, 2_000, 4_000, 8_000, 15_000];

/** Why this page itself breaks off. */
class Silence extends Error {}
class Woken extends Error {}

/**
 * `load` gets everything anew, `happened` takes an event, `connection` is told how it stands: `live`, `polling`, `lost`
 * with the seconds until the next try, or `closed` to who has no token, with the refusal.
 */
export class Live {
  #last = null;
  #tries = 0;
  #stop = null;
  #woken = null;

  constructor(ways) {
    Object.assign(this, ways);
    document.addEventListener("visibilitychange", () => this.#looked());
  }

  async run() {
    for (;;) {
      try {
        await this.#seen();
        await this.#follow();
        this.#tries = 0;
      } catch (refusal) {
        await this.#refused(refusal);
      }
    }
  }

  /** Another try at once: a token was entered, say. */
  wake() {
    this.#tries = 0;
    this.#woken?.();
    this.#stop?.abort(new Woken());
  }

  async #follow() {
    const stop = (this.#stop = new AbortController());
    let quiet = null;
    const expectWithin = (milliseconds) => {
      clearTimeout(quiet);
      quiet = setTimeout(() => stop.abort(new Silence()), milliseconds);
    };
    expectWithin(HELD_BACK);
    try {
      const headers = this.#last ? { "Last-Event-ID": this.#last } : {};
      const answer = await ask("events", { headers, signal: stop.signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventReader((event) => this.#told(event));
      const first = await reader.read();
      expectWithin(SILENT);
      // What happens from here on is told; so nothing is lost between the two.
      await this.load();
      this.connection("live");
      this.#tries = 0;
      for (let part = first; !part.done; part = await reader.read()) {
        expectWithin(SILENT);
        events.read(part.value);
      }
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      clearTimeout(quiet);
      stop.abort();
    }
  }

  #told(event) {
    if (event.id) this.#last = event.id;
    this.happened(event);
  }

  async #refused(refusal) {
    if (refusal instanceof Woken) return;
    const { status } = refusal;
    if (status === 401 || status === 403) {
      this.connection("closed", refusal);
      return this.#pause(Infinity);
    }
    // A connection that broke is begun anew at once, without a word.
    if (!(refusal instanceof Silence) && this.#tries++ === 0) return;
    try {
      await this.#poll();
    } catch (error) {
      await (error.status === 401 ? this.#refused(error) : this.#lost());
    }
  }

  /** It may be there all the same: nobody can follow any more, or something on the way does not let events through. */
  async #poll() {
    for (let polls = 0; polls < POLLS; polls += 1) {
      await this.#seen();
      await this.load();
      this.connection("polling");
      await this.#pause(POLL_EVERY);
    }
  }

  async #lost() {
    const pause = PAUSES[Math.min(this.#tries, PAUSES.length) - 1];
    this.connection("lost", pause / 1000);
    await this.#pause(pause);
  }

  /** Waits, unless somebody wakes it. */
  #pause(milliseconds) {
    return new Promise((resolve) => {
      this.#woken = resolve;
      if (milliseconds < Infinity) setTimeout(resolve, milliseconds);
    });
  }

  /** Waits until somebody looks. */
  async #seen() {
    while (document.hidden && this.unseen) await this.#pause(Infinity);
  }

  #looked() {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => {
        this.unseen = true;
        this.#stop?.abort(new Woken());
      }, UNSEEN);
    } else if (this.unseen) {
      this.unseen = false;
      this.wake();
    }
  }
}
