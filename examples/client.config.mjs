// What openapi-ts makes of the OpenAPI document for worker.ts; run it where package.json is.
export default {
  input: './openapi/openapi.json',
  // With .ts, Node runs what is generated as it stands.
  output: { path: 'examples/client', module: { extension: '.ts' } },
  plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'],
}
