// Sends with posthog-node what the suite expects: node send.cjs HOST PROJECT_KEY PREFIX
const { PostHog } = require("posthog-node");

const [host, key, prefix] = process.argv.slice(2);

async function main() {
  const client = new PostHog(key, { host, flushAt: 7 });
  let failed = false;
  client.on("error", (error) => {
    failed = true;
    console.error(error);
  });
  const [user, anonymous, company] = [`${prefix}-user`, `${prefix}-anonymous`, `${prefix}-company`];

  client.capture({ distinctId: anonymous, event: `${prefix} before`, properties: { number: 41.5 } });
  client.identify({ distinctId: user, properties: { $set: { plan: "pro" }, $anon_distinct_id: anonymous } });
  client.alias({ distinctId: user, alias: `${prefix}-alias` });
  client.groupIdentify({ groupType: "company", groupKey: company, properties: { seats: 3 }, distinctId: user });
  client.capture({
    distinctId: user,
    event: `${prefix} after`,
    properties: { text: "naïve ☕" },
    groups: { company },
  });
  for (let number = 0; number < 10; number++) {
    client.capture({ distinctId: user, event: `${prefix} batch`, properties: { number } });
  }
  client.captureException(new Error(`${prefix} went wrong`), user);
  await client.shutdown();
  // shutdown() waits for deliveries, not for the error that a delivery emitted.
  process.exitCode = failed ? 1 : 0;
}

main();
