// Hands requests to Perfetto's trace processor, as its viewer does: node trace_processor.js BUNDLE WASM REQUESTS REPLIES
const fs = require("fs");
const [bundle, wasm, requests, replies] = process.argv.slice(2);

// The viewer's bundle holds the module that Emscripten made for the WebAssembly, among much else.
const text = fs.readFileSync(bundle, "utf8");
const begin = text.indexOf("var trace_processor_wasm = (function()");
const end = text.indexOf("module.exports = trace_processor_wasm;");
const load = new Function("require", "__dirname", "__filename", text.slice(begin, end) + "\nreturn trace_processor_wasm;");

const received = [];
const processor = load(require, __dirname, __filename)({
  wasmBinary: fs.readFileSync(wasm),
  printErr: () => {},
  onRuntimeInitialized: () => setImmediate(run),
});

function run() {
  const onReply = (at, length) => received.push(Buffer.from(processor.HEAPU8.slice(at, at + length)));
  const content = fs.readFileSync(requests);
  const buffer = processor.ccall("trace_processor_rpc_init", "number", ["number", "number"],
                                 [processor.addFunction(onReply, "vii"), content.length]);
  processor.HEAPU8.set(content, buffer);
  processor.ccall("trace_processor_on_rpc_request", "void", ["number"], [content.length]);
  fs.writeFileSync(replies, Buffer.concat(received));
}
