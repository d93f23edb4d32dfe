-- Runs when an organization installs or uninstalls the integration.
--
--   moonpost send installation.created

function on_install(event)
  local installation = event.data.installation

  if event.action == "deleted" then
    log.info("uninstalled", { organization = installation.organization.slug })
    return
  end

  log.info("installed", {
    organization = installation.organization.slug,
    status = installation.status,
    installation = installation.uuid,
  })
end
