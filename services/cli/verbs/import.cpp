#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/import_file.h"
#include "core/object_view.h"
#include "core/tree.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "larder/object/ids.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

struct Options {
  object::CreateRequest request;
  base::Digest expected;
};

absl::StatusOr<uint32_t> Count(std::string_view flag, std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0) return value;
  return base::InvalidArgument("BAD_VALUE", "{} '{}' is no number above zero", flag, text);
}

absl::Status ReadAck(const std::string& text, object::CreateRequest& request) {
  constexpr std::string_view kReplicated = "replicated:";
  if (text.starts_with(kReplicated)) {
    request.ack = object::AckPolicy::kReplicated;
    LARDER_ASSIGN_OR_RETURN(request.ack_replicas, Count("--ack replicated:", text.substr(kReplicated.size())));
    return absl::OkStatus();
  }
  for (const auto ack : {object::AckPolicy::kLocal, object::AckPolicy::kTracked, object::AckPolicy::kOrigin}) {
    if (text != object::AckName(ack)) continue;
    request.ack = ack;
    return absl::OkStatus();
  }
  return base::InvalidArgument("BAD_VALUE", "--ack '{}' is none of local, tracked, replicated:K, origin", text);
}

absl::Status ReadReplicas(const Arguments& given, object::CreateRequest& request) {
  request.meta.wanted_replicas = std::max(1u, request.ack_replicas);
  if (!given.Has("--replicas")) return absl::OkStatus();
  LARDER_ASSIGN_OR_RETURN(request.meta.wanted_replicas, Count("--replicas", given.Text("--replicas")));
  if (request.meta.wanted_replicas >= request.ack_replicas) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "--replicas {} is less than --ack replicated:{} waits for",
                               request.meta.wanted_replicas, request.ack_replicas);
}

absl::StatusOr<Options> ReadOptions(const Arguments& given) {
  Options options;
  object::CreateRequest& request = options.request;
  request.key = given.Text("--key");
  if (given.Has("--key")) LARDER_RETURN_IF_ERROR(object::CheckKey(request.key));
  request.overwrite = given.Has("--overwrite");
  request.accept_same_content = !request.overwrite;
  if (given.Has("--ack")) LARDER_RETURN_IF_ERROR(ReadAck(given.Text("--ack"), request));
  LARDER_RETURN_IF_ERROR(ReadReplicas(given, request));
  if (given.Has("--ttl")) {
    LARDER_ASSIGN_OR_RETURN(request.meta.ttl, base::ParseDuration(given.Text("--ttl")));
  }
  if (given.Has("--piece-length")) {
    LARDER_ASSIGN_OR_RETURN(const uint64_t length, base::ParseBytes(given.Text("--piece-length")));
    if (length == 0 || length > UINT32_MAX) {
      return base::InvalidArgument("BAD_VALUE", "--piece-length {} is out of bounds", given.Text("--piece-length"));
    }
    request.meta.piece_length = static_cast<uint32_t>(length);
  }
  if (given.Has("--digest")) {
    LARDER_ASSIGN_OR_RETURN(options.expected, base::ParseDigest(given.Text("--digest")));
    request.want_sha256 = options.expected.kind == base::Digest::Kind::kSha256;
  }
  request.meta.tags = given.All("--tag");
  request.meta.application = given.Text("--application");
  return options;
}

absl::Status CheckCombination(const Arguments& given) {
  const bool tree = given.Has("--recursive");
  for (const std::string_view flag : {"--key", "--digest"}) {
    if (tree && given.Has(flag))
      return base::InvalidArgument("BAD_COMBINATION", "{} is of one object, -r of many", flag);
  }
  if (tree && given.operands.front() == "-") {
    return base::InvalidArgument("BAD_COMBINATION", "-r needs a directory, not stdin");
  }
  if (!tree && given.Has("--prefix")) {
    return base::InvalidArgument("BAD_COMBINATION", "--prefix goes with -r (one object is named by --key)");
  }
  return absl::OkStatus();
}

const std::vector<Column>& WideColumns() {
  static const std::vector<Column> kColumns = {{"SIZE", 10, true}, {"ACK", 10},    {"DURABILITY", 10},
                                               {"EPOCH", 16},      {"DIGEST", 15}, {"KEY", 0}};
  return kColumns;
}

class Printer {
 public:
  Printer(Context& context, bool many) : context_(context), many_(many) {
    if (context_.json() && many_) context_.out.Text("[");
    if (context_.wide()) context_.out.Line(TableHead(WideColumns()));
  }
  void Print(const Imported& imported) {
    const object::SealResult& result = imported.result;
    const std::optional<object::Durability> durability =
        imported.untouched ? std::nullopt : std::optional(result.durability);
    if (context_.json()) {
      context_.out.Text(count_ == 0 ? "" : ",\n");
      context_.out.Text(JsonText(ImportJson(result.info, result.ack, durability)));
    } else if (context_.wide()) {
      context_.out.Line(TableRow(
          WideColumns(),
          {base::FormatBytes(result.info.size), std::string(object::AckName(result.ack)),
           durability ? std::string(object::DurabilityName(*durability)) : "-", fmt::to_string(result.info.epoch.value),
           base::FormatDigest(result.info.digest), result.info.id.key}));
    } else {
      context_.out.Line(result.info.id.key);
    }
    ++count_;
  }
  void Finish() {
    if (context_.json()) context_.out.Line(many_ ? "]" : "");
  }

 private:
  Context& context_;
  const bool many_;
  size_t count_ = 0;
};

absl::Status ImportTree(Context& context, client::Client& client, const Arguments& given, const Options& options) {
  const std::string& root = given.operands.front();
  const std::string folder = FolderPrefix(given.Text("--prefix"));
  Printer printer(context, /*many=*/true);
  const auto import = [&](const std::string& relative) -> absl::StatusOr<Imported> {
    object::CreateRequest request = options.request;
    request.key = folder + relative;
    LARDER_RETURN_IF_ERROR(object::CheckKey(request.key));
    LARDER_ASSIGN_OR_RETURN(Source source, Source::Open(root + "/" + relative, context.interrupts));
    return ImportFile(context, client, source, request, {});
  };
  const auto visit = [&](const std::string& relative) -> absl::Status {
    LARDER_RETURN_IF_ERROR(context.interrupts.Check());
    const absl::StatusOr<Imported> imported = import(relative);
    if (imported.ok()) {
      printer.Print(*imported);
    } else if (context.interrupts.Check().ok()) {
      context.Report(base::Annotate(imported.status(), "import " + relative));
    }
    return context.interrupts.Check();
  };
  const absl::Status walked =
      WalkTree(root, visit, [&](const absl::Status& failure) { context.Report(base::Annotate(failure, "import")); });
  printer.Finish();
  return walked;
}

absl::Status Import(Context& context, const Arguments& given) {
  LARDER_RETURN_IF_ERROR(CheckCombination(given));
  LARDER_ASSIGN_OR_RETURN(const Options options, ReadOptions(given));
  if (given.Has("--recursive")) {
    LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> client, context.Connect());
    return ImportTree(context, *client, given, options);
  }
  LARDER_ASSIGN_OR_RETURN(Source source, Source::Open(given.operands.front(), context.interrupts));
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> client, context.Connect());
  absl::StatusOr<Imported> imported = ImportFile(context, *client, source, options.request, options.expected);
  if (!imported.ok()) return imported.status();
  Printer printer(context, /*many=*/false);
  printer.Print(*imported);
  printer.Finish();
  return absl::OkStatus();
}

}  // namespace

Verb ImportVerb() {
  return {
      .name = "import",
      .operands = "FILE|-",
      .min_operands = 1,
      .max_operands = 1,
      .summary = "Make an object of a file, of stdin, or (-r) objects of a tree; prints the key",
      .example =
          "larder import model.bin --key models/m1 --ttl 7d\n"
          "tar c logs | larder import - --key logs.tar\n"
          "larder import -r ./data --prefix datasets/d1",
      .flags =
          {
              {.name = "--key", .value = "KEY", .help = "the object's key (default: sha256: of its content)"},
              {.name = "--ack",
               .value = "POLICY",
               .help = "when it counts as stored: local, tracked, replicated:K, origin",
               .choices = {"local", "tracked", "replicated:2", "origin"}},
              {.name = "--replicas", .value = "N", .help = "wanted copies (default 1, or the ack's K)"},
              {.name = "--ttl", .value = "DURATION", .help = "the object's life, as in 7d (default: for ever)"},
              {.name = "--tag", .value = "TAG", .help = "a tag; may be repeated", .repeatable = true},
              {.name = "--application", .value = "NAME", .help = "whose object it is"},
              {.name = "--piece-length", .value = "SIZE", .help = "unit of transfer, as in 4MiB (default: by size)"},
              {.name = "--digest", .value = "sha256:HEX", .help = "refuse (exit 9) unless the bytes have this digest"},
              {.name = "--overwrite", .help = "replace what the key holds"},
              {.name = "--recursive", .help = "import the files of a directory", .letter = 'r'},
              {.name = "--prefix", .value = "P", .help = "with -r: the keys are P/PATH"},
          },
      .complete = Complete::kFile,
      .run = Import,
  };
}

}  // namespace larder::cli
