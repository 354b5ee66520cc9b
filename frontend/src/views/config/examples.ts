// First requests, ready to paste. The key comes from a variable, so that none lands in a shell's history.

export interface Example {
  name: "curl" | "openai" | "curl_messages" | "anthropic" | "claude_code";
  code: (base: string, model: string) => string;
}

export const EXAMPLES: Example[] = [
  {
    name: "curl",
    code: (base, model) => `export AGP_KEY="sk-…"
curl ${base}/v1/chat/completions \\
  -H "Authorization: Bearer $AGP_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "${model}",
    "messages": [{"role": "user", "content": "Hello"}]
  }'`,
  },
  {
    name: "openai",
    code: (base, model) => `# pip install openai
import os
from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key=os.environ["AGP_KEY"])
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
  },
  {
    name: "curl_messages",
    code: (base, model) => `export AGP_KEY="sk-…"
curl ${base}/v1/messages \\
  -H "x-api-key: $AGP_KEY" \\
  -H "anthropic-version: 2023-06-01" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "${model}",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "Hello"}]
  }'`,
  },
  {
    name: "anthropic",
    code: (base, model) => `# pip install anthropic
import os
from anthropic import Anthropic

client = Anthropic(base_url="${base}", api_key=os.environ["AGP_KEY"])
answer = client.messages.create(
    model="${model}",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.content[0].text)`,
  },
  {
    name: "claude_code",
    code: (base, model) => `export ANTHROPIC_BASE_URL="${base}"
export ANTHROPIC_AUTH_TOKEN="$AGP_KEY"
export ANTHROPIC_MODEL="${model}"
claude`,
  },
];
