// The daemon's API, asked with the token of this tab, if there is one.

const TOKEN = "regferry-token";

/** A refusal: `status` is 0 where nobody answered. */
export class Refusal extends Error {
  constructor(status, detail, advice = "") {
    super(detail);
    Object.assign(this, { status, detail, advice });
  }
}

/** What is kept until the tab is closed; where nothing may be kept, until the page is left. */
export const token = {
  value: kept(),
  set(value) {
    this.value = value;
    try {
      if (value) sessionStorage.setItem(TOKEN, value);
      else sessionStorage.removeItem(TOKEN);
    } catch {
      // It holds for this page all the same.
    }
  },
};

function kept() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

export async function get(path, signal) {
  const answer = await ask(path, { signal });
  return answer.json();
}

export async function post(path, key) {
  const answer = await ask(path, { method: "POST", headers: { "Idempotency-Key": key } });
  return answer.json();
}

/** An answer that is as it should be. Paths are beside the page: a proxy may have put it anywhere. */
export async function ask(path, { headers = {}, ...options } = {}) {
  if (token.value) headers = { ...headers, Authorization: `Bearer ${token.value}` };
  let answer;
  try {
    answer = await fetch(`api/v1/${path}`, { cache: "no-store", headers, ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Refusal(0, "the daemon does not answer");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  try {
    const { detail, advice } = await answer.json();
    return new Refusal(answer.status, detail ?? answer.statusText, advice);
  } catch {
    return new Refusal(answer.status, `${answer.status} ${answer.statusText}`);
  }
}
