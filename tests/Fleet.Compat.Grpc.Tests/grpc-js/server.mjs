// The echo service, served by grpc-js. Prints its port and lives until its input closes.
import { Metadata, Server, ServerCredentials, compressionAlgorithms } from '@grpc/grpc-js';
import { loadEcho } from './echo.mjs';

const [protoFile, compress] = process.argv.slice(2);
const Echo = loadEcho(protoFile);

const reply = (request, count) => ({ text: request.text, payload: request.payload, count });

function failure(request) {
  const metadata = new Metadata();
  metadata.set('x-reason', 'asked');
  return { code: request.failWith, details: request.failDetail, metadata };
}

function reflected(call) {
  const text = call.metadata.get('x-text')[0];
  const bytes = call.metadata.get('x-bytes-bin')[0];
  const headers = new Metadata();
  headers.set('x-text', text);
  headers.set('x-bytes-bin', bytes);
  call.sendMetadata(headers);
  const trailers = new Metadata();
  trailers.set('x-trailing-text', text);
  trailers.set('x-trailing-bytes-bin', bytes);
  return trailers;
}

const handlers = {
  say(call, callback) {
    const { request } = call;
    call.on('cancelled', () => console.log('cancelled'));
    const trailers = request.reflectMetadata ? reflected(call) : undefined;
    if (request.hang) return;
    if (request.failWith) callback(failure(request));
    else callback(null, reply(request, 1), trailers);
  },
  repeat(call) {
    const { request } = call;
    call.on('cancelled', () => console.log('cancelled'));
    for (let i = 1; i <= request.repeat; i++) call.write(reply(request, i));
    if (request.hang) return;
    if (request.failWith) call.emit('error', failure(request));
    else call.end();
  },
  collect(call, callback) {
    const texts = [];
    call.on('data', (request) => texts.push(request.text));
    call.on('end', () => callback(null, { text: texts.join(','), count: texts.length }));
  },
  chat(call) {
    let count = 0;
    call.on('data', (request) => call.write(reply(request, ++count)));
    call.on('end', () => call.end());
  },
};

const server = new Server({
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.default_compression_algorithm': compress === 'gzip' ? compressionAlgorithms.gzip : compressionAlgorithms.identity,
});
server.addService(Echo.service, handlers);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`port ${port}`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
