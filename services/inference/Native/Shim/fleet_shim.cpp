// What Fleet needs of llama.cpp's C++ chat library (libllama-common), as plain C functions: JSON Schema to grammar, chat templates, and the
// reading of replies. It is compiled on the machine that runs it, against the headers of the one pinned release: its classes change layout
// between releases, so a shim of another one must not be loaded (fleet_shim_release says which it is).
//
// Every function that can fail returns 0 for success. *text is then the result, else a message for a person; both are UTF-8, not
// terminated, and given back with fleet_shim_free. No exception leaves this file. Handles are used by one thread at a time, templates by any.

#include "llama.h"
#include "chat.h"
#include "json.h"
#include "json-schema-to-grammar.h"
#include "log.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#ifndef FLEET_LLAMA_RELEASE
#error "FLEET_LLAMA_RELEASE names the llama.cpp release whose headers these are"
#endif

#define FLEET_API extern "C" __attribute__((visibility("default")))

using json = common_json;

namespace {

// Counts up when a function's meaning changes.
constexpr int32_t INTERFACE_VERSION = 1;

// A model's templates. Replies of a few families are read by the rules found with other end tokens than the prompt is written with.
struct chat_templates {
    common_chat_templates_ptr prompt;
    common_chat_templates_ptr reply;  // usually none: the same
};

// llama.cpp finds out how a family writes its calls by comparing renderings. With Mistral's call ids and an end token in the template it takes
// the marker of the arguments for a part of the function's name and then reads no call at all; without the end token it is right.
bool needs_no_end_token(const std::string & source) {
    return source.find("[CALL_ID]") != std::string::npos;
}

constexpr int32_t OK = 0;
constexpr int32_t REFUSED = 1;

int32_t give(const std::string & text, int32_t status, char ** out, int64_t * length) noexcept {
    *out = static_cast<char *>(std::malloc(text.empty() ? 1 : text.size()));
    *length = 0;
    if (*out == nullptr) {
        return REFUSED;
    }
    std::memcpy(*out, text.data(), text.size());
    *length = static_cast<int64_t>(text.size());
    return status;
}

template <typename Action>
int32_t guarded(char ** out, int64_t * length, Action && action) noexcept {
    *out = nullptr;
    *length = 0;
    try {
        return give(action(), OK, out, length);
    } catch (const std::bad_alloc &) {
        return give("out of memory", REFUSED, out, length);
    } catch (const std::exception & exception) {
        return give(exception.what(), REFUSED, out, length);
    } catch (...) {
        return give("an unknown C++ exception", REFUSED, out, length);
    }
}

std::string text_of(const char * text, int64_t length) {
    return length > 0 ? std::string(text, static_cast<size_t>(length)) : std::string();
}

common_chat_continuation continuation_of(const std::string & name) {
    if (name == "content") {
        return COMMON_CHAT_CONTINUATION_CONTENT;
    }
    return name == "reasoning" ? COMMON_CHAT_CONTINUATION_REASONING : COMMON_CHAT_CONTINUATION_NONE;
}

common_chat_templates_inputs inputs_of(const json & request) {
    common_chat_templates_inputs inputs;
    inputs.use_jinja              = true;
    inputs.messages               = common_chat_msgs_parse_oaicompat(request.at("messages"));
    inputs.tool_choice            = common_chat_tool_choice_parse_oaicompat(request.value("tool_choice", "auto"));
    inputs.parallel_tool_calls    = request.value("parallel_tool_calls", false);
    inputs.json_schema            = request.value("json_schema", "");
    inputs.enable_thinking        = request.value("enable_thinking", true);
    inputs.force_pure_content     = request.value("prompt_only", false);
    inputs.reasoning_format       = COMMON_REASONING_FORMAT_DEEPSEEK;
    inputs.continue_final_message = continuation_of(request.value("continue", ""));
    inputs.add_generation_prompt  = inputs.continue_final_message == COMMON_CHAT_CONTINUATION_NONE;
    if (request.contains("tools")) {
        inputs.tools = common_chat_tools_parse_oaicompat(request.at("tools"));
    }
    if (request.contains("arguments")) {
        for (const auto & [name, value] : request.at("arguments").items()) {
            inputs.chat_template_kwargs[name] = value.get<std::string>();
        }
    }
    return inputs;
}

json strings(const std::vector<std::string> & texts) {
    json result = json::array();
    for (const auto & text : texts) {
        result.push_back(text);
    }
    return result;
}

json triggers_of(const common_chat_params & params) {
    json result = json::array();
    for (const auto & trigger : params.grammar_triggers) {
        const char * kind = "word";
        switch (trigger.type) {
            case COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN:        kind = "token"; break;
            case COMMON_GRAMMAR_TRIGGER_TYPE_WORD:         kind = "word"; break;
            case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN:      kind = "pattern"; break;
            case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL: kind = "pattern_full"; break;
        }
        result.push_back({ { "kind", kind }, { "value", trigger.value }, { "token", static_cast<int64_t>(trigger.token) } });
    }
    return result;
}

// Where free text can end: what a reply's reader looks for inside it.
json delimiters_of(const common_peg_arena & arena) {
    json result = json::array();
    for (size_t i = 0; i < arena.size(); i++) {
        const auto & parser = arena.get(i);
        if (const auto * until = std::get_if<common_peg_until_parser>(&parser)) {
            for (const auto & text : until->delimiters) {
                result.push_back(text);
            }
        } else if (const auto * any = std::get_if<common_peg_ac_parser>(&parser)) {
            for (const auto & text : any->delimiters) {
                result.push_back(text);
            }
        }
    }
    return result;
}

json message_of(const common_chat_msg & message) {
    json calls = json::array();
    for (const auto & call : message.tool_calls) {
        calls.push_back({ { "id", call.id }, { "name", call.name }, { "arguments", call.arguments } });
    }
    return json::object({
        { "content", message.render_content("\n") },
        { "reasoning", message.reasoning_content },
        { "tool_calls", calls },
    });
}

}  // namespace

// The llama.cpp release it was compiled against; terminated, and never freed.
FLEET_API const char * fleet_shim_release() {
    return FLEET_LLAMA_RELEASE;
}

FLEET_API int32_t fleet_shim_interface() {
    return INTERFACE_VERSION;
}

// The library prints replies it cannot parse; Fleet logs no one's text.
FLEET_API void fleet_shim_silence() {
    common_log_set_verbosity_thold(-1);
}

FLEET_API void fleet_shim_free(char * text) {
    std::free(text);
}

// A JSON Schema to GBNF with a rule named root.
FLEET_API int32_t fleet_shim_schema_to_grammar(const char * schema, int64_t schema_length, char ** text, int64_t * length) {
    return guarded(text, length, [&] { return json_schema_to_grammar(json::parse(text_of(schema, schema_length)), false); });
}

// Templates of a model's file, or the given one with the given begin and end tokens. *text is empty on success.
FLEET_API int32_t fleet_shim_templates_open(
    const llama_model * model, const char * source, int64_t source_length, const char * bos, int64_t bos_length,
    const char * eos, int64_t eos_length, void ** templates, char ** text, int64_t * length) {
    *templates = nullptr;
    return guarded(text, length, [&] {
        const auto given = text_of(source, source_length);
        if (model == nullptr && given.empty()) {
            throw std::invalid_argument("neither a model nor a template was given");
        }
        auto opened = std::make_unique<chat_templates>();
        opened->prompt = common_chat_templates_init(model, given, text_of(bos, bos_length), text_of(eos, eos_length));
        const auto text_of_default = common_chat_templates_source(opened->prompt.get());
        if (needs_no_end_token(text_of_default)) {
            opened->reply = common_chat_templates_init(nullptr, text_of_default);
        }
        *templates = opened.release();
        return std::string();
    });
}

FLEET_API void fleet_shim_templates_close(void * templates) {
    delete static_cast<chat_templates *>(templates);
}

// What the template knows: its capabilities by llama.cpp's names, and whether it can think.
FLEET_API int32_t fleet_shim_templates_describe(const void * templates, char ** text, int64_t * length) {
    return guarded(text, length, [&] {
        const auto * opened = static_cast<const chat_templates *>(templates)->prompt.get();
        json capabilities = json::object();
        for (const auto & [name, value] : common_chat_templates_get_caps(opened)) {
            capabilities[name] = value;
        }
        bool thinking = false;
        try {
            thinking = common_chat_templates_support_enable_thinking(opened);
        } catch (const std::exception &) {
            // The template wants more than one user message to be tried on: then it is asked per request.
        }
        return json::object({
            { "capabilities", capabilities },
            { "thinking", thinking },
            { "source", common_chat_templates_source(opened) },
        }).dump_safe();
    });
}

// A request (JSON) to a prompt and what goes with it (JSON). prompt_only skips what is costly about the rest, and with it the changes that
// some families' handlers make to the prompt. With reader not null, *reader is what reads the reply.
FLEET_API int32_t fleet_shim_templates_apply(
    const void * templates, const char * request, int64_t request_length, void ** reader, char ** text, int64_t * length) {
    if (reader != nullptr) {
        *reader = nullptr;
    }
    return guarded(text, length, [&] {
        const auto & opened = *static_cast<const chat_templates *>(templates);
        const auto inputs = inputs_of(json::parse(text_of(request, request_length)));
        auto params = common_chat_templates_apply(opened.prompt.get(), inputs);
        if (opened.reply && !inputs.force_pure_content) {
            auto prompt = std::move(params.prompt);
            params = common_chat_templates_apply(opened.reply.get(), inputs);
            params.prompt = std::move(prompt);
        }
        common_peg_arena arena;
        if (!params.parser.empty()) {
            arena.load(params.parser);
        }
        const auto result = json::object({
            { "prompt", params.prompt },
            { "generation_prompt", params.generation_prompt },
            { "grammar", params.grammar },
            { "grammar_lazy", params.grammar_lazy },
            { "triggers", triggers_of(params) },
            { "preserved_tokens", strings(params.preserved_tokens) },
            { "stops", strings(params.additional_stops) },
            { "format", common_chat_format_name(params.format) },
            { "thinking", params.supports_thinking },
            { "delimiters", delimiters_of(arena) },
        }).dump_safe();

        if (reader != nullptr) {
            auto made = std::make_unique<common_chat_parser_params>(params);
            made->reasoning_format = inputs.reasoning_format;
            made->is_continuation  = inputs.continue_final_message != COMMON_CHAT_CONTINUATION_NONE;
            made->parse_tool_calls = inputs.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE;
            made->parser           = std::move(arena);
            *reader = made.release();
        }
        return result;
    });
}

// Reads a reply's text so far; partial: more may follow.
FLEET_API int32_t fleet_shim_reader_read(
    const void * reader, const char * reply, int64_t reply_length, int32_t partial, char ** text, int64_t * length) {
    return guarded(text, length, [&] {
        const auto & params = *static_cast<const common_chat_parser_params *>(reader);
        return message_of(common_chat_parse(text_of(reply, reply_length), partial != 0, params)).dump_safe();
    });
}

FLEET_API void fleet_shim_reader_close(void * reader) {
    delete static_cast<common_chat_parser_params *>(reader);
}
