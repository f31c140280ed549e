// Asks a netpold at 127.0.0.1:9480 with grpc-js, by the .proto files alone: nothing is generated.
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const proto = fileURLToPath(new URL('../../../proto', import.meta.url));
const files = ['netpold/v1/decision.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto'];
const definition = protoLoader.loadSync(files, {
  includeDirs: [proto],
  keepCase: true, // or the names of fields are src_ipv4 in the documentation and srcIpv4 here
  enums: String,
  longs: String,
  defaults: true, // or "allowed" is undefined instead of false
});
const { netpold } = grpc.loadPackageDefinition(definition);
const client = new netpold.v1.DecisionService('127.0.0.1:9480', grpc.credentials.createInsecure());

// The details of an error are in its trailers, as google.rpc.Status.
function errorDetails(error) {
  const [trailer] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!trailer) return [];
  return definition['google.rpc.Status'].deserialize(trailer).details.map(({ type_url: url, value }) => {
    const name = url.slice(url.lastIndexOf('/') + 1);
    return { [name]: definition[name]?.deserialize(value) ?? value };
  });
}

function allowed(question) {
  const deadline = new Date(Date.now() + 5000); // a call without one waits for as long as the server lets it
  return new Promise((resolve, reject) => {
    client.Allowed(question, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const frontend = { workload: { namespace: 'shop', kind: 'Deployment', name: 'frontend' } };
const cart = { service: { namespace: 'shop', name: 'cart' } };

const answer = await allowed({ src: frontend, dst: cart, port: 7070, protocol: 'PROTOCOL_TCP', details: true });
console.log(answer.allowed ? 'allowed' : 'denied', answer.reason);
console.log('  decided:', `${answer.src.namespace}/${answer.src.name}`, 'to', `${answer.dst.namespace}/${answer.dst.name}`, answer.port,
  answer.protocol);
for (const note of answer.notes) console.log('  note:', note.code, note.message);

// The loader sends no protocol for a name that it does not know, which means TCP. With details the answer says what was decided:
// compare it, wherever the protocol comes from elsewhere.
const misspelled = await allowed({ src: frontend, dst: cart, port: 7070, protocol: 'UDP', details: true });
console.log("asked with protocol 'UDP', decided as", misspelled.protocol);

try {
  await allowed({ src: frontend, dst: { ip: '10.0.3.300' }, port: 7070 });
} catch (error) {
  console.log(grpc.status[error.code], error.details, JSON.stringify(errorDetails(error)));
}
client.close();
