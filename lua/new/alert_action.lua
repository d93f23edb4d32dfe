-- A custom alert action: people add it to an alert rule in Sentry and fill in its form.
--
--   moonpost test                 try it, with what is in @NAME@_test.lua
--   moonpost preview @NAME@
--                                 see the form on a local page
--   moonpost ui-schema            what to paste into the Schema box of the integration

alert_action {
  title = "@TITLE@",
  fields = {
    {
      name = "service",
      label = "Service",
      type = "select",
      required = true,
      options = { { value = "api", label = "API" }, { value = "web", label = "Web" } },
    },
    { name = "note", label = "Note", type = "text" },
  },

  -- Whether a rule with these settings may be saved; a refusal is shown to the person.
  validate = function(settings)
    if #(settings.note or "") > 200 then return nil, "The note is longer than 200 characters" end
    return true
  end,

  -- Runs for every alert of such a rule; an error has it run again later.
  fire = function(settings, alert)
    step("post", function(idempotency_key)
      local res = assert(http.post(secret "PAGER_URL", {
        json = { service = settings.service, note = settings.note, text = alert.title, url = alert.url },
        headers = { ["Idempotency-Key"] = idempotency_key },
      }))
      if not res.ok then error("the pager answered " .. res.status) end
      return res.status
    end)
  end,
}
