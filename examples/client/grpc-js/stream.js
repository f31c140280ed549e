// Asks a netpold at 127.0.0.1:9480 many questions by address over one stream that stays open.
//
// A call of its own for each question costs a new HTTP/2 stream, which is most of the time. Each worker of a program opens one
// StreamAllowed instead, and asks one question at a time in it.
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const proto = fileURLToPath(new URL('../../../proto', import.meta.url));
const { netpold } = grpc.loadPackageDefinition(protoLoader.loadSync('netpold/v1/decision.proto', {
  includeDirs: [proto], keepCase: true, enums: String, longs: String, defaults: true,
}));
const client = new netpold.v1.DecisionService('127.0.0.1:9480', grpc.credentials.createInsecure());

// A stream for one worker: its next question waits for the answer to the last one.
class Worker {
  constructor() {
    this.stream = client.StreamAllowed();
    this.stream.on('data', (answer) => this.settle((asked) => {
      const [wrong] = answer.errors;
      if (wrong) asked.reject(new Error(wrong.error.message));
      else asked.resolve((answer.allowed[0] & 1) === 1);
    }));
    this.stream.on('error', (error) => this.settle((asked) => asked.reject(error))); // open another, and ask again
    this.stream.on('end', () => this.settle((asked) => asked.reject(new Error('the stream has ended'))));
  }

  settle(how) {
    const asked = this.asked;
    this.asked = undefined;
    if (asked) how(asked);
  }

  // Resolves to whether src may connect to a TCP port of dst, both IPv4 addresses. An error means "not answered": never take
  // it as allowed.
  allowed(src, dst, port) {
    return new Promise((resolve, reject) => {
      this.asked = { resolve, reject };
      this.stream.write({ src_ipv4: bytes(src), dst_ipv4: bytes(dst), ports: Buffer.from([port >> 8, port & 255]) });
    });
  }

  close() {
    this.stream.end();
  }
}

const bytes = (ip) => Buffer.from(ip.split('.').map(Number));
const [frontend, cart] = ['10.20.1.11', '10.20.1.12'];

const worker = new Worker();
for (const port of [7070, 7071]) console.log(port, (await worker.allowed(frontend, cart, port)) ? 'allowed' : 'denied');
await worker.allowed(frontend, cart, 0).catch((error) => console.log('not answered:', error.message));

const count = 2000;
let start = performance.now();
for (let i = 0; i < count; i++) await worker.allowed(frontend, cart, 7070);
const overStream = performance.now() - start;
worker.close();

start = performance.now();
for (let i = 0; i < count; i++) {
  await new Promise((resolve, reject) => {
    client.Allowed({ src: { ip: frontend }, dst: { ip: cart }, port: 7070 }, { deadline: Date.now() + 5000 },
      (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}
console.log(`over the stream ${((performance.now() - start) / overStream).toFixed(1)} times as fast as by a call for each`);
client.close();
