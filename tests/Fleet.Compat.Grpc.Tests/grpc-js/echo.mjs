// Loads the service definition that both sides share.
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export function loadEcho(protoFile) {
  const definition = loadSync(protoFile, { keepCase: false, defaults: true, bytes: Buffer });
  return loadPackageDefinition(definition).fleet.compat.tests.Echo;
}
