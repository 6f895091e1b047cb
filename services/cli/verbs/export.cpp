#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/context.h"
#include "core/destination.h"
#include "core/digester.h"
#include "core/progress.h"
#include "core/range.h"
#include "core/tree.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "larder/object/transport.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

constexpr uint64_t kChunk = base::kMiB;

struct Options {
  std::optional<ByteRange> range;
  base::Digest expected;
  bool overwrite = false;
};
using Sink = std::function<absl::Status(base::ByteSpan)>;

absl::Status Mismatch(const base::Digest& got, const base::Digest& wanted, std::string_view whose) {
  return base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "the bytes are {}, not {} as {}",
                     base::FormatDigest(got), base::FormatDigest(wanted), whose);
}

// Gives the bytes of `extent` to `sink`, mapped ones as they lie, and checks them on the way: against the record if
// they are the whole object, and against what was asked.
absl::Status Deliver(Context& context, object::ObjectReader& reader, const Extent& extent, const Options& options,
                     const Sink& sink) {
  const object::ObjectInfo& info = reader.info();
  const base::Digest recorded = extent.length == info.size ? info.digest : base::Digest{};
  Digester as_recorded(recorded.kind);
  Digester as_expected(options.expected.kind);
  Progress progress(context.shows_progress(), "export " + info.id.key, extent.length);
  const std::optional<base::ByteSpan> mapped = reader.Bytes();
  std::vector<std::byte> buffer(mapped ? 0 : std::min(kChunk, extent.length));
  for (uint64_t at = 0; at < extent.length;) {
    LARDER_RETURN_IF_ERROR(context.interrupts.Check());
    const uint64_t length = std::min(kChunk, extent.length - at);
    base::ByteSpan chunk;
    if (mapped) {
      chunk = mapped->subspan(extent.offset + at, length);
    } else {
      const base::MutableByteSpan part = std::span(buffer).first(length);
      LARDER_RETURN_IF_ERROR(reader.Read(extent.offset + at, part));
      chunk = part;
    }
    LARDER_RETURN_IF_ERROR(sink(chunk));
    as_recorded.Update(chunk);
    as_expected.Update(chunk);
    progress.Advance(length);
    at += length;
  }
  if (const base::Digest got = as_recorded.Finish(); got != recorded) return Mismatch(got, recorded, "recorded");
  if (const base::Digest got = as_expected.Finish(); got != options.expected) {
    return Mismatch(got, options.expected, "--digest says");
  }
  return absl::OkStatus();
}

absl::StatusOr<Extent> WhatToExport(const object::ObjectInfo& info, const Options& options) {
  if (options.range) return ExtentOf(*options.range, info.size);
  return Extent{.offset = 0, .length = info.size};
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> Open(client::Client& client, const std::string& key,
                                                           const Options& options) {
  return options.range ? client.GetRange(key, BytesOf(*options.range)) : client.Get(key);
}

absl::Status ExportToFile(Context& context, client::Client& client, const std::string& key, Directory directory,
                          const std::string& name, const Options& options) {
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<object::ObjectReader> reader, Open(client, key, options));
  LARDER_ASSIGN_OR_RETURN(const Extent extent, WhatToExport(reader->info(), options));
  LARDER_ASSIGN_OR_RETURN(
      const std::unique_ptr<Destination> file,
      Destination::Create(std::move(directory), name, extent.length, options.overwrite, context.interrupts));
  LARDER_RETURN_IF_ERROR(
      Deliver(context, *reader, extent, options, [&](base::ByteSpan bytes) { return file->Write(bytes); }));
  return file->Publish();
}

absl::Status ExportToStdout(Context& context, client::Client& client, const std::string& key, const Options& options) {
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<object::ObjectReader> reader, Open(client, key, options));
  LARDER_ASSIGN_OR_RETURN(const Extent extent, WhatToExport(reader->info(), options));
  return Deliver(context, *reader, extent, options, [&](base::ByteSpan bytes) { return context.out.Bytes(bytes); });
}

// An error of one object is reported and the others go on; what is returned ends the verb.
absl::Status ExportListed(Context& context, client::Client& client, const std::string& key, const std::string& folder,
                          const Directory& root, const Options& options) {
  const auto one = [&]() -> absl::Status {
    LARDER_ASSIGN_OR_RETURN(const std::string path, PathOfKey(key, folder));
    LARDER_ASSIGN_OR_RETURN(Directory parent, root.MakeParentsOf(path));
    return ExportToFile(context, client, key, std::move(parent), path.substr(path.rfind('/') + 1), options);
  };
  const absl::Status exported = one();
  LARDER_RETURN_IF_ERROR(context.interrupts.Check());
  context.Report(base::Annotate(exported, "export " + key));
  return absl::OkStatus();
}

absl::Status ExportTree(Context& context, client::Client& client, const std::string& prefix, const std::string& dir,
                        const Options& options) {
  object::ListRequest request{.prefix = FolderPrefix(prefix)};
  std::optional<Directory> root;
  for (bool more = true; more;) {
    LARDER_ASSIGN_OR_RETURN(const object::ListPage page, client.List(request));
    if (page.objects.empty() && !root) {
      return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "no key begins with '{}'", request.prefix);
    }
    if (!root) {
      LARDER_ASSIGN_OR_RETURN(root, Directory::Make(dir));
    }
    for (const object::ObjectInfo& info : page.objects) {
      LARDER_RETURN_IF_ERROR(ExportListed(context, client, info.id.key, request.prefix, *root, options));
    }
    more = page.more && !page.objects.empty();
    if (more) request.after = page.objects.back().id.key;
  }
  return absl::OkStatus();
}

absl::StatusOr<Options> ReadOptions(const Arguments& given) {
  Options options{.overwrite = given.Has("--overwrite")};
  if (given.Has("--range")) {
    LARDER_ASSIGN_OR_RETURN(options.range, ParseRange(given.Text("--range")));
  }
  if (given.Has("--digest")) {
    LARDER_ASSIGN_OR_RETURN(options.expected, base::ParseDigest(given.Text("--digest")));
  }
  if (!given.Has("--recursive")) return options;
  if (options.range || given.Has("--digest")) {
    return base::InvalidArgument("BAD_COMBINATION", "--range and --digest are of one object, -r of many");
  }
  if (given.Text("--out").empty() || given.Text("--out") == "-") {
    return base::InvalidArgument("BAD_COMBINATION", "-r needs a directory to write to (-O DIR)");
  }
  return options;
}

absl::Status Export(Context& context, const Arguments& given) {
  LARDER_ASSIGN_OR_RETURN(const Options options, ReadOptions(given));
  const std::string& key = given.operands.front();
  const std::string out = given.Has("--out") ? given.Text("--out") : "-";
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> client, context.Connect());
  if (given.Has("--recursive")) return ExportTree(context, *client, key, out, options);
  if (out == "-") return ExportToStdout(context, *client, key, options);
  const size_t slash = out.rfind('/');
  const std::string parent = slash == out.npos ? "." : out.substr(0, std::max<size_t>(slash, 1));
  const std::string name = out.substr(slash == out.npos ? 0 : slash + 1);
  if (name.empty()) return base::InvalidArgument("BAD_VALUE", "-O '{}' is no file name", out);
  LARDER_ASSIGN_OR_RETURN(Directory directory, Directory::Open(parent));
  return ExportToFile(context, *client, key, std::move(directory), name, options);
}

}  // namespace

Verb ExportVerb() {
  return {
      .name = "export",
      .operands = "KEY",
      .min_operands = 1,
      .max_operands = 1,
      .summary = "Write an object to stdout or to a file, or (-r) those below a prefix to a directory",
      .example =
          "larder export models/m1 -O model.bin\n"
          "larder export logs.tar --range -1024\n"
          "larder export -r datasets/d1 -O ./data",
      .flags =
          {
              {.name = "--out",
               .value = "FILE|-",
               .help = "where to; a file appears only when it is complete (default: stdout)",
               .letter = 'O',
               .complete = Complete::kFile},
              {.name = "--overwrite", .help = "replace a file that exists"},
              {.name = "--range", .value = "A-B|A-|-N", .help = "only these bytes: from A to B, from A on, the last N"},
              {.name = "--digest",
               .value = "sha256:HEX",
               .help = "fail (exit 9) unless what is written has this digest"},
              {.name = "--recursive", .help = "KEY is a prefix: KEY/PATH becomes DIR/PATH, with -O DIR", .letter = 'r'},
          },
      .run = Export,
  };
}

}  // namespace larder::cli
