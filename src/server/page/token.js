// The dialog that asks for a token.

import { token } from "./api.js";
import { byId, say } from "./dom.js";

export class TokenDialog {
  #answer = null;

  /** `changed` is told when another token holds. */
  constructor(changed) {
    this.changed = changed;
    this.node = byId("token-dialog");
    this.field = byId("token-field");
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#use(this.field.value.trim());
    });
    byId("token-cancel").addEventListener("click", () => this.node.close());
    byId("token-forget").addEventListener("click", () => this.#forget());
    byId("token-button").addEventListener("click", () => this.open());
    this.node.addEventListener("close", () => this.#closed());
    this.#show();
  }

  open(wrong = "") {
    this.field.value = "";
    say(byId("token-wrong"), wrong);
    byId("token-forget").hidden = !token.value;
    if (!this.node.open) this.node.showModal();
    this.field.focus();
  }

  /** Whether one was entered. */
  ask(wrong) {
    this.open(wrong);
    return new Promise((resolve) => (this.#answer = resolve));
  }

  #use(value) {
    if (!value) return;
    token.set(value);
    const answer = this.#answer;
    this.#answer = null;
    this.node.close();
    this.#show();
    answer?.(true);
    this.changed();
  }

  #forget() {
    token.set(null);
    this.node.close();
    this.#show();
    this.changed();
  }

  #closed() {
    this.field.value = "";
    this.#answer?.(false);
    this.#answer = null;
  }

  #show() {
    say(byId("token-text"), token.value ? "Token set" : "Token");
  }
}
