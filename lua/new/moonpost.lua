-- Settings of moonpost for this project: any option of `moonpost help serve`, with _ for -.
-- Secrets stay in the environment (SENTRY_CLIENT_SECRET, and what scripts ask for by name).

return {
  handler_timeout = "30s",
  -- listen = "0.0.0.0:8080",
  -- validation = "warn", -- deliver what Sentry has changed without notice, too
}
