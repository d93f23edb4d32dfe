// Express in the shape of Sentry's integration example: express.json(), a middleware that compares the
// HMAC of the body written anew, a router, an answer.  Run with NODE_ENV=production, without a log.
const crypto = require("crypto");
const express = require("express");

const secret = process.env.BENCH_SECRET;

function verifySentrySignature(request, response, next) {
  const hmac = crypto.createHmac("sha256", secret);
  hmac.update(JSON.stringify(request.body), "utf8");
  const digest = hmac.digest("hex");
  if (digest !== request.headers["sentry-hook-signature"]) {
    return response.sendStatus(401);
  }
  return next();
}

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.use(express.json({ limit: "1mb" }));
app.post("/webhook", verifySentrySignature, (request, response) => {
  const { action, data } = request.body;
  if (!action || !data) {
    return response.sendStatus(400);
  }
  return response.status(200).json({ status: "accepted" });
});

const server = app.listen(Number(process.env.BENCH_PORT), "127.0.0.1");
server.keepAliveTimeout = 600000;
server.maxRequestsPerSocket = 0;
