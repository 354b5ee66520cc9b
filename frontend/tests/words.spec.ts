// What the gateway says of itself, in the reader's language.
import { expect, signIn, test } from "./fixture";
import { MODELS } from "./gateway";

const NARROW = "sk-narrow-key-0123456789abcdef012345";
const account = (name: string, more = "") => `[accounts.${name}]\nupstream = "sim"\nemail = "${name}@example.com"\nrefresh_token = "sim-refresh-${name}"\n${more}`;

test.use({
  locale: "zh-CN",
  viewport: { width: 1440, height: 900 },
  setup: {
    accounts: [],
    models: MODELS,
    extra: [
      account("alice"),
      account("bob"),
      account("carol", 'models = ["claude-sonnet-4-5"]\n'),
      account("dave"),
      account("frank", "enabled = false\n"),
      `[keys.narrow]\nkey = "${NARROW}"\naccounts = ["carol"]\n`,
    ].join(""),
    script: {
      rules: [
        { account: "dave@example.com", method: "token", do: { oauth_error: "invalid_grant" } },
        { account: "carol@example.com", model: "claude-*", do: { status: 429, form: "retry_info", delay: "600s" } },
      ],
    },
  },
});
test.describe.configure({ mode: "serial", timeout: 120_000 });

test("states of accounts, and what came of asking them", async ({ page, gateway }) => {
  await gateway.chat({ model: "claude-sonnet-4-5" }, NARROW);
  await signIn(page, "/accounts");
  const row = (name: string) => page.locator(".row-line").filter({ has: page.getByRole("link", { name, exact: true }) });
  await expect(row("carol")).toContainText("冷却中");
  await expect(row("carol")).toContainText("上游返回：请求限速");
  await page.getByRole("button", { name: "全部刷新" }).click();
  const job = page.getByRole("dialog");
  await expect(job.locator(".row-line").filter({ hasText: "alice" })).toContainText(/令牌(已续期|仍有效) · 有效期至 \d{4}年.*个模型/);
  await expect(job.locator(".row-line").filter({ hasText: "dave" })).toContainText(/失败.*账号无效|登录/);
  await page.keyboard.press("Escape");
  await expect(row("dave")).toContainText("提供方不再接受其登录凭据");
  await row("dave").getByText("提供方不再接受其登录凭据").focus();
  await expect(page.getByRole("tooltip")).not.toContainText(/[a-z]{4,}/);
  await row("bob").getByRole("button", { name: /操作/ }).click();
  await page.getByRole("menuitem", { name: "暂停" }).click();
  await expect(row("bob")).toContainText("由人工暂停");
  await expect(row("frank")).toContainText("已在配置文件中关闭");
});

test("what needs a person, with what to do here", async ({ page }) => {
  await signIn(page);
  const item = page.getByTestId("attention").locator("[data-kind=sign_in]");
  await expect(item).toContainText("账号 dave 需要重新登录");
  await expect(item).toContainText("服务商不再接受其登录凭据。");
  await expect(item).toContainText(/始于.*(前|现在)/);
  await expect(item).not.toContainText(/agp |\d{4}-\d\d-\d\dT/);
});

test("a request's kind of error and verdicts", async ({ page, gateway }) => {
  const answer = await gateway.chat({ model: "claude-sonnet-4-5" }, NARROW);
  expect(answer.status).toBeGreaterThanOrEqual(400);
  await signIn(page, "/logs");
  await expect(async () => {
    await page.getByRole("button", { name: "刷新" }).click();
    await expect(page.locator(".row-line")).toHaveCount(2, { timeout: 1000 });
  }).toPass();
  await expect(page.locator(".row-line").first()).toContainText(/请求限速|没有可用账号|负载过高|配额用尽/);
  await page.locator(".row-line").first().click();
  const verdicts = page.getByTestId("verdicts").locator("tr").filter({ hasText: "carol" });
  await expect(verdicts).toContainText(/冷却至 \d{4}年.*：请求限速/);
  await expect(page.getByTestId("verdicts").locator("tr").filter({ hasText: "alice" })).toContainText("不允许此密钥使用");
  await expect(page.getByTestId("verdicts").locator("tr").filter({ hasText: "frank" })).toContainText("已在配置文件中关闭");
});
