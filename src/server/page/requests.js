// Runs that are asked for here, and what comes of them.

import { post, token } from "./api.js";
import { duration, several, size } from "./format.js";
import { ENDS } from "./states.js";

export class Requests {
  #asked = null;

  /** `page` tells what comes of it, `dialog` asks for the token. */
  constructor(page, dialog) {
    Object.assign(this, { page, dialog });
  }

  /** Asks for a run. With the same key it is the same request, however often it is sent. */
  async sync(name, key = newKey()) {
    this.page.tell("Asking for a run …");
    try {
      const { id, folded } = await post(`rules/${encodeURIComponent(name)}/sync`, key);
      this.#asked = id;
      this.page.tell(folded ? `Run ${id} follows the one that is under way.` : `Run ${id} begins.`, "good");
    } catch (refusal) {
      await this.#refused(name, key, refusal);
    }
  }

  async #refused(name, key, { status, message, advice = "" }) {
    if (status !== 401) return this.page.tell(`Not begun: ${message}. ${advice}`.trim(), "bad");
    this.page.tell("It needs a token.");
    const isEntered = await this.dialog.ask(token.value ? "That is not one of the daemon’s tokens." : "");
    if (isEntered) return this.sync(name, key);
    this.page.tell("Not begun: it needs a token.", "bad");
  }

  /** An event may be about the run that was asked for last. */
  follow({ name, data: { run, rule } }) {
    if (!this.#asked || run?.id !== this.#asked || rule !== this.page.name) return;
    if (name === "run_started") this.page.tell(`Run ${run.id} is under way.`, "good");
    if (name !== "run_ended") return;
    const brought = `${several(run.copied, "image")} copied, ${size(run.bytes)} sent`;
    this.page.tell(`Run ${run.id} ${ENDS[run.outcome]} after ${duration(run.seconds)}: ${brought}.`, run.outcome === "success" ? "good" : "bad");
  }
}

/** `crypto.randomUUID` is not there over plain HTTP. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
