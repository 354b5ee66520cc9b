// What a holder of a key types first, for each client.

export interface Command {
  key: string;
  label: string;
  code: string;
}

export interface Target {
  /** Of the gateway, without a slash at the end. */
  url: string;
  /** The key, or what stands for it. */
  key: string;
  /** A model that the key may use. */
  model: string;
  /** The same for Claude Code. */
  claude: string;
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

export function commands({ url, key, model, claude }: Target): Command[] {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
  const text = JSON.stringify;
  return [
    {
      key: "curl",
      label: "curl",
      code: `curl ${url}/v1/chat/completions \\
  -H "Authorization: Bearer ${key}" \\
  -H "Content-Type: application/json" \\
  -d ${quoted(body)}`,
    },
    {
      key: "openai-python",
      label: "OpenAI · Python",
      code: `from openai import OpenAI

client = OpenAI(
    base_url=${text(`${url}/v1`)},
    api_key=${text(key)},
)
answer = client.chat.completions.create(
    model=${text(model)},
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
    },
    {
      key: "openai-js",
      label: "OpenAI · JS",
      code: `import OpenAI from "openai";

const client = new OpenAI({
  baseURL: ${text(`${url}/v1`)},
  apiKey: ${text(key)},
});
const answer = await client.chat.completions.create({
  model: ${text(model)},
  messages: [{ role: "user", content: "Hello" }],
});
console.log(answer.choices[0].message.content);`,
    },
    {
      key: "anthropic-python",
      label: "Anthropic · Python",
      code: `import anthropic

client = anthropic.Anthropic(
    base_url=${text(url)},
    api_key=${text(key)},
)
answer = client.messages.create(
    model=${text(model)},
    max_tokens=1024,
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.content[0].text)`,
    },
    {
      key: "anthropic-js",
      label: "Anthropic · JS",
      code: `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({
  baseURL: ${text(url)},
  apiKey: ${text(key)},
});
const answer = await client.messages.create({
  model: ${text(model)},
  max_tokens: 1024,
  messages: [{ role: "user", content: "Hello" }],
});
console.log(answer.content);`,
    },
    {
      key: "claude-code",
      label: "Claude Code",
      code: `export ANTHROPIC_BASE_URL=${quoted(url)}
export ANTHROPIC_AUTH_TOKEN=${quoted(key)}
export ANTHROPIC_MODEL=${quoted(claude)}
claude`,
    },
  ];
}
