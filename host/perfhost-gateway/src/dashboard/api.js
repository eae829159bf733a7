// Asks the host: answers once, events as they come. Owns the admin token, which stays in this tab.

const KEY = "perfhost-admin-token";

export class NeedsToken extends Error {}

const headers = () => {
  const token = sessionStorage.getItem(KEY);
  return token ? { authorization: `Bearer ${token}` } : {};
};

export const keepToken = (token) => sessionStorage.setItem(KEY, token);

async function ask(path, options = {}) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store", ...options });
  if (answer.status === 401) throw new NeedsToken("the admin token is missing or wrong");
  return answer;
}

/** The answer as JSON; null when the host does not serve the path. */
export async function get(path) {
  const answer = await ask(path);
  if (answer.status === 404) return null;
  const value = await answer.json();
  if (!answer.ok) throw new Error(value?.error?.message ?? `${path} answered ${answer.status}`);
  return value;
}

/**
 * Events of the live feed, as objects. Read by hand and not by EventSource, which can send no token. Ends when the
 * connection does; whoever calls tries again.
 */
export async function* events(signal) {
  const answer = await ask("/api/metrics/stream", { signal });
  if (!answer.ok) throw new Error(`the live feed answered ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (data) yield JSON.parse(data);
    }
  }
}
