// Server-sent events, read from an answer's body: an EventSource cannot show a token.
// Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".

/** Takes parts of a stream as they come and tells whole events: their names, data and last id. */
export class EventReader {
  #rest = "";
  #event = fresh();
  #id = "";

  constructor(tell) {
    this.tell = tell;
  }

  read(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    lines.forEach((line) => this.#line(line));
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "data") this.#event.data.push(value);
    if (field === "event") this.#event.name = value;
    if (field === "id") this.#id = value;
  }

  #dispatch() {
    const { name, data } = this.#event;
    this.#event = fresh();
    if (data.length) this.tell({ name, data: JSON.parse(data.join("\n")), id: this.#id });
  }
}

function fresh() {
  return { name: "message", data: [] };
}
