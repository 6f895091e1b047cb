#include "larder/config/arguments.h"

#include <CLI/CLI.hpp>
#include <exception>
#include <utility>

#include "larder/base/nearest.h"
#include "larder/base/status.h"
#include "src/text.h"

namespace larder::config {
namespace {

std::string_view TypeWord(Type type) {
  switch (type) {
    case Type::kBytes:
      return "SIZE";
    case Type::kTime:
      return "DURATION";
    case Type::kInteger:
      return "N";
    case Type::kReal:
      return "X";
    case Type::kList:
      return "A,B,...";
    default:
      return "TEXT";
  }
}

std::string Description(const Setting& setting) {
  const Value& value = setting.default_value;
  const std::string text = setting.type == Type::kList ? fmt::format("{}", fmt::join(value.items, ",")) : value.text;
  std::string notes = text.empty() ? "" : "default " + text;
  if (setting.required) notes = "required";
  if (!setting.bounds.empty()) notes += (notes.empty() ? "" : "; ") + setting.bounds;
  return notes.empty() ? setting.help : fmt::format("{} ({})", setting.help, notes);
}

// CLI11 takes the next argument where a value is missing, so `--a= --b` and `--a --b` would give --a the value "--b".
absl::Status RefuseMissingValues(std::span<const std::string> args) {
  for (const std::string& arg : args) {
    if (arg.starts_with("--") && arg.find('=') + 1 == arg.size()) {
      return base::InvalidArgument("BAD_VALUE", "{}: has no value (an empty one: {} \"\")", OneLine(arg),
                                   OneLine(arg.substr(0, arg.size() - 1)));
    }
  }
  return absl::OkStatus();
}

// The texts given for one flag, checked for their number.
absl::StatusOr<std::string> TextOf(const CLI::Option& option, bool repeatable) {
  const std::string name = option.get_name();
  std::string text;
  for (size_t i = 0; i < option.results().size(); ++i) {
    const std::string& given = option.results()[i];
    if (i > 0 && !repeatable) return base::InvalidArgument("BAD_VALUE", "{}: given twice", name);
    if (given.starts_with("--")) return base::InvalidArgument("BAD_VALUE", "{}: has no value", name);
    text += (i > 0 ? "," : "") + given;
  }
  return text;
}

absl::Status UnknownArgument(const std::string& arg, const CLI::App& app) {
  if (!arg.starts_with("-")) return base::InvalidArgument("BAD_VALUE", "{}: stray argument", Quoted(arg));
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) known.push_back(option->get_name());
  const std::string name = arg.substr(0, arg.find('='));
  const std::string nearest = base::NearestName(name, known);
  return base::InvalidArgument("UNKNOWN_KEY", "{}: unknown flag{}", OneLine(name),
                               nearest.empty() ? "" : " (did you mean " + nearest + "?)");
}

absl::StatusOr<Arguments> Parse(const Program& program, const std::string& env_prefix,
                                std::span<const Setting> settings, std::span<const std::string> args) {
  CLI::App app(program.summary, program.name);
  app.allow_extras();
  app.set_version_flag("--version", program.name + " " + program.version);
  app.footer(
      fmt::format("Every setting can also be given in the file (--data-dir is data_dir) or as a variable\n"
                  "({}DATA_DIR). A flag wins over a variable, that over the file.",
                  env_prefix));
  // CLI11 binds a variable or, to a constant text, none: results() are read instead.
  std::string file;
  const std::string print_help = "Print the settings in force with their sources, and exit (=yaml or =json)";
  const CLI::Option* const config = app.add_option("--config", file, "YAML file of settings")
                                        ->type_name("FILE")
                                        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  const CLI::Option* const print = app.add_flag("--print-config", print_help);
  std::vector<std::pair<const Setting*, const CLI::Option*>> options;
  for (const Setting& setting : settings) {
    const std::string name = FlagName(setting.path);
    const std::string description = Description(setting);
    CLI::Option* option = nullptr;
    if (setting.type == Type::kFlag) {
      option = app.add_flag(name, description);
    } else {
      option = app.add_option(name, description)->type_name(std::string(TypeWord(setting.type)));
    }
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
    options.emplace_back(&setting, option);
  }

  Arguments parsed;
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));  // CLI11 wants the last one first
  } catch (const CLI::CallForHelp&) {
    parsed.exit_text = app.help();
    return parsed;
  } catch (const CLI::CallForVersion& version) {
    parsed.exit_text = std::string(version.what()) + "\n";
    return parsed;
  }
  if (const std::vector<std::string> unknown = app.remaining(); !unknown.empty()) {
    return UnknownArgument(unknown.front(), app);
  }
  LARDER_ASSIGN_OR_RETURN(parsed.config_file, TextOf(*config, /*repeatable=*/false));
  if (print->count() > 0) {
    LARDER_ASSIGN_OR_RETURN(const std::string format, TextOf(*print, /*repeatable=*/false));
    if (format != "true" && format != "yaml" && format != "json") {
      return base::InvalidArgument("BAD_VALUE", "--print-config: {} is neither yaml nor json", Quoted(format));
    }
    parsed.print_config = format == "json" ? Format::kJson : Format::kYaml;
  }
  for (const auto& [setting, option] : options) {
    if (option->count() == 0) continue;
    LARDER_ASSIGN_OR_RETURN(parsed.flags[setting->path], TextOf(*option, setting->type == Type::kList));
  }
  return parsed;
}

}  // namespace

absl::StatusOr<Arguments> ParseArguments(const Program& program, const std::string& env_prefix,
                                         std::span<const Setting> settings, std::span<const std::string> args) {
  LARDER_RETURN_IF_ERROR(RefuseMissingValues(args));
  try {
    return Parse(program, env_prefix, settings, args);
  } catch (const std::exception& error) {
    return base::InvalidArgument("BAD_VALUE", "{}", OneLine(error.what()));
  }
}

}  // namespace larder::config
