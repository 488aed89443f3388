// Reads one CloudEvent a line from stdin with the official SDK, strictly, and writes it again in both modes.
// In: {"headers", "body"}. Out: {"error"} or {"seen", "structured", "binary"}.
const { CloudEvent, HTTP } = require("cloudevents");
const lines = require("node:readline").createInterface({ input: process.stdin });

const message = ({ headers, body }) => ({ headers, body: typeof body === "string" ? body : JSON.stringify(body) });

function answer({ headers, body }) {
  const read = HTTP.toEvent({ headers, body });
  const strict = new CloudEvent({ ...read }, true); // validates; `toEvent` itself is lenient
  strict.validate();
  return { seen: strict, structured: message(HTTP.structured(strict)), binary: message(HTTP.binary(strict)) };
}

lines.on("line", (line) => {
  let said;
  try {
    said = answer(JSON.parse(line));
  } catch (error) {
    said = { error: `${error.message} ${JSON.stringify(error.errors ?? [])}` };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
});
