#pragma once

namespace larder::cli_docs {

// larder-docs DIR SCRATCH: writes metrics.md and configuration.md to DIR, starting services below SCRATCH, and to
// SCRATCH schemas.json, for the chart. Returns the exit code.
int Run(int argc, char** argv);

}  // namespace larder::cli_docs
