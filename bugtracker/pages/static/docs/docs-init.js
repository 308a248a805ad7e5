"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  // A token outlives its tab nowhere, not even in the browser's own storage.
  persistAuthorization: false,
  tryItOutEnabled: true,
  // The default asks a public server to check the contract.
  validatorUrl: null,
});
