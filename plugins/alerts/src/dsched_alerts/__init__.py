"""An observer that posts signed webhooks for what needs attention."""
