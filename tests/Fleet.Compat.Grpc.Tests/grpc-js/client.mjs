// Calls the echo service with grpc-js, every way there is, and prints what came back as one JSON object.
import { Metadata, compressionAlgorithms, credentials } from '@grpc/grpc-js';
import { loadEcho } from './echo.mjs';

const [protoFile, address, compress] = process.argv.slice(2);
const Echo = loadEcho(protoFile);
const client = new Echo(address, credentials.createInsecure(), {
  'grpc.max_receive_message_length': -1,
  'grpc.default_compression_algorithm': compress === 'gzip' ? compressionAlgorithms.gzip : compressionAlgorithms.identity,
});

const ending = (error) => ({ code: error.code, details: error.details, reason: error.metadata.get('x-reason')[0] });

/** One request, one response. */
function say(request, metadata = new Metadata(), options = {}) {
  return new Promise((resolve) => {
    const result = {};
    const call = client.say(request, metadata, options, (error, reply) => {
      Object.assign(result, error ? { error: ending(error) } : { text: reply.text, length: reply.payload.length });
    });
    call.on('metadata', (headers) => (result.headers = { text: headers.get('x-text')[0], bytes: headers.get('x-bytes-bin')[0]?.toString('hex') }));
    call.on('status', (status) => {
      result.trailers = { text: status.metadata.get('x-trailing-text')[0], bytes: status.metadata.get('x-trailing-bytes-bin')[0]?.toString('hex') };
      resolve(result);
    });
    options.started?.(call);
  });
}

/** One request, many responses. */
function repeat(request, onMessage = () => {}) {
  return new Promise((resolve) => {
    const counts = [];
    const call = client.repeat(request);
    call.on('data', (reply) => {
      counts.push(reply.count);
      onMessage(call);
    });
    call.on('error', (error) => resolve({ count: counts.length, error: ending(error) }));
    call.on('end', () => resolve({ count: counts.length, ordered: counts.every((count, i) => count === i + 1) }));
  });
}

function collect(texts) {
  return new Promise((resolve) => {
    const call = client.collect((error, reply) => resolve(error ? { error: ending(error) } : { text: reply.text, count: reply.count }));
    for (const text of texts) call.write({ text });
    call.end();
  });
}

function chat(texts) {
  return new Promise((resolve) => {
    const received = [];
    const call = client.chat();
    call.on('data', (reply) => {
      received.push(reply.text);
      // The next message leaves only after the answer to this one.
      if (received.length < texts.length) call.write({ text: texts[received.length] });
      else call.end();
    });
    call.on('end', () => resolve({ received }));
    call.on('error', (error) => resolve({ received, error: ending(error) }));
    call.write({ text: texts[0] });
  });
}

const metadata = new Metadata();
metadata.set('x-text', 'plain text');
metadata.set('x-bytes-bin', Buffer.from([0, 255, 1]));

const results = {
  unary: await say({ text: '안녕', payload: Buffer.alloc(3) }),
  big: await say({ payload: Buffer.alloc(3 * 1024 * 1024, 7) }),
  tooBig: await say({ payload: Buffer.alloc(5 * 1024 * 1024) }),
  metadata: await say({ reflectMetadata: true }, metadata),
  failure: await say({ failWith: 9, failDetail: '100 % 실패\n' }),
  unhandled: await say({ throw: true }),
  deadline: await say({ hang: true }, new Metadata(), { deadline: Date.now() + 300 }),
  cancelled: await say({ hang: true }, new Metadata(), { started: (call) => setTimeout(() => call.cancel(), 200) }),
  stream: await repeat({ text: 'again', repeat: 1000 }),
  emptyStream: await repeat({ repeat: 0 }),
  failedStream: await repeat({ repeat: 3, failWith: 15 }),
  cancelledStream: await repeat({ repeat: 1, hang: true }, (call) => call.cancel()),
  collected: await collect(['a', 'b', 'c']),
  chat: await chat(['1', '2', '3']),
  many: (await Promise.all(Array.from({ length: 100 }, (_, i) => chat([`${i}`, `${i}!`])))).filter(
    ({ received }, i) => received[0] === `${i}` && received[1] === `${i}!`,
  ).length,
  missing: await new Promise((resolve) => client.missing({}, (error) => resolve({ error: ending(error) }))),
};
console.log(JSON.stringify(results));
client.close();
