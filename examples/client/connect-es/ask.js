// Asks a netpold at 127.0.0.1:9480 with Connect for ECMAScript, over its gRPC transport.
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { DecisionService, Protocol, Reason } from './gen/netpold/v1/decision_pb.js';
import { BadRequestSchema, ErrorInfoSchema } from './gen/google/rpc/error_details_pb.js';

const transport = createGrpcTransport({ baseUrl: 'http://127.0.0.1:9480', defaultTimeoutMs: 5000 });
const client = createClient(DecisionService, transport);

const src = { endpoint: { case: 'workload', value: { namespace: 'shop', kind: 'Deployment', name: 'frontend' } } };
const dst = { endpoint: { case: 'service', value: { namespace: 'shop', name: 'cart' } } };

const answer = await client.allowed({ src, dst, port: 7070, protocol: Protocol.TCP, details: true });
console.log(answer.allowed ? 'allowed' : 'denied', Reason[answer.reason]);
console.log('  decided:', `${answer.src.namespace}/${answer.src.name}`, 'to', `${answer.dst.namespace}/${answer.dst.name}`, answer.port,
  Protocol[answer.protocol]);
for (const note of answer.notes) console.log('  note:', note.code, note.message);

// A value that the enum does not have is undefined, and nothing is sent, which means TCP. With details the answer says what was
// decided.
const misspelled = await client.allowed({ src, dst, port: 7070, protocol: Protocol['udp'], details: true });
console.log("asked with Protocol['udp'], decided as", Protocol[misspelled.protocol]);

// Bulk questions go over a stream, by address and in packed columns: here ports 7070 and 6379 of one pair.
async function* batches() {
  const column = (address) => Uint8Array.from([0, 1].flatMap(() => address.split('.').map(Number)));
  yield {
    src: { case: 'srcIpv4', value: column(answer.src.ip) },
    dst: { case: 'dstIpv4', value: column(answer.dst.ip) },
    ports: Uint8Array.from([7070, 6379].flatMap((port) => [port >> 8, port & 255])),
  };
}
for await (const answers of client.streamAllowed(batches())) {
  for (let i = 0; i < answers.reasons.length; i++) {
    console.log('question', i, (answers.allowed[i >> 3] >> (i & 7)) & 1 ? 'allowed' : 'denied', Reason[answers.reasons[i]]);
  }
}

try {
  await client.allowed({ src, dst: { endpoint: { case: 'ip', value: '10.0.3.300' } }, port: 7070 });
} catch (error) {
  const failure = ConnectError.from(error);
  console.log(Code[failure.code], failure.findDetails(ErrorInfoSchema)[0]?.reason, failure.findDetails(BadRequestSchema)[0]?.fieldViolations);
}
