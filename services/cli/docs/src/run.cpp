#include "larder/cli_docs/run.h"

#include <cstdio>
#include <filesystem>

#include "core/settings.h"
#include "larder/base/error_table.h"
#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/cli_dev/declarations.h"
#include "larder/cli_docs/pages.h"

namespace larder::cli_docs {
namespace {

absl::Status WritePages(const std::filesystem::path& dir, const std::string& scratch) {
  LARDER_ASSIGN_OR_RETURN(const auto services, cli_dev::DeclarationsOfAll(scratch));
  LARDER_RETURN_IF_ERROR(base::MakeDirs(dir));
  LARDER_RETURN_IF_ERROR(base::WriteFileAtomically(dir / "metrics.md", MetricsPage(services)));
  LARDER_RETURN_IF_ERROR(
      base::WriteFileAtomically(dir / "configuration.md", ConfigurationPage(services, cli::DeclaredSettings())));
  return base::WriteFileAtomically(std::filesystem::path(scratch) / "schemas.json", ConfigSchemas(services));
}

}  // namespace

int Run(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: larder-docs DIR SCRATCH\n", stderr);
    return 2;
  }
  const absl::Status written = WritePages(argv[1], argv[2]);
  if (!written.ok()) std::fprintf(stderr, "larder-docs: %s\n", base::Message(written).c_str());
  return base::ErrorRowOf(written.code()).exit_code;
}

}  // namespace larder::cli_docs
