// Runs before a server that would listen on a port of its own choice, on all
// interfaces: here it listens on a free port of loopback, says on which, and
// ends when whoever has started it does.
const net = require("net");

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  const done = args.find((a) => typeof a === "function");
  this.once("listening", () => console.log(`listening on 127.0.0.1:${this.address().port}`));
  return listen.call(this, { host: "127.0.0.1", port: 0 }, done);
};

process.stdin.on("end", () => process.exit()).resume();
