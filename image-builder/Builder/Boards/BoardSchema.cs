using System.Text.Encodings.Web;
using System.Text.Json;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>
/// The form as JSON Schema (draft 2020-12), for editors. A board that extends a family leaves out what the family gives, so keys are required only of a
/// file that extends nothing; items of lists are never merged, so theirs always are.
/// </summary>
internal static class BoardSchema
{
    private static readonly JsonWriterOptions Pretty = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, NewLine = "\n" };

    /// <summary>The schema's text, as it is kept in board-configs/board.schema.json.</summary>
    public static string Text()
    {
        using var bytes = new MemoryStream();
        using (var w = new Utf8JsonWriter(bytes, Pretty))
        {
            w.WriteStartObject();
            w.WriteString("$schema", "https://json-schema.org/draft/2020-12/schema");
            w.WriteString("title", "OsBuild board");
            w.WriteString("description", "One board of image-builder. Made from the reader's own form (Builder/Boards/BoardForm.cs); a test keeps it current.");
            WriteMap(w, BoardForm.Root, required: false);
            w.WriteStartObject("if");
            Names(w, "required", ["extends"]);
            w.WriteEndObject();
            w.WriteStartObject("else");
            WriteRequired(w, BoardForm.Root);
            w.WriteEndObject();
            w.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(bytes.ToArray()) + "\n";
    }

    private static void Write(Utf8JsonWriter w, FormType type, bool inList)
    {
        switch (type)
        {
            case FormType.Text text:
                w.WriteString("type", "string");
                w.WriteNumber("minLength", 1);
                if (text.Pattern is { } pattern) w.WriteString("pattern", pattern);
                return;
            case FormType.Choice choice:
                Names(w, "enum", choice.Words.Select(x => x.Word));
                return;
            case FormType.Size:
                w.WriteStartArray("anyOf");
                w.WriteStartObject();
                w.WriteString("type", "integer");
                w.WriteNumber("minimum", 0);
                w.WriteEndObject();
                w.WriteStartObject();
                w.WriteString("type", "string");
                w.WriteString("pattern", "^(0x[0-9A-Fa-f]+|[0-9]+(\\.[0-9]+)? ?([KkMmGgTt]([Ii][Bb])?|[Bb])?)$");
                w.WriteEndObject();
                w.WriteEndArray();
                return;
            case FormType.Whole whole:
                w.WriteString("type", "integer");
                w.WriteNumber("minimum", whole.From);
                w.WriteNumber("maximum", whole.To);
                return;
            case FormType.Flag:
                w.WriteString("type", "boolean");
                return;
            case FormType.PartitionType:
                w.WriteStartArray("anyOf");
                w.WriteStartObject();
                Names(w, "enum", PartitionTypes.Names);
                w.WriteEndObject();
                w.WriteStartObject();
                w.WriteString("type", "integer");
                w.WriteNumber("minimum", 1);
                w.WriteNumber("maximum", 255);
                w.WriteEndObject();
                w.WriteStartObject();
                w.WriteString("type", "string");
                w.WriteString("pattern", "^(0x[0-9A-Fa-f]{1,2}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$");
                w.WriteEndObject();
                w.WriteEndArray();
                return;
            case FormType.OneOrMany many:
                w.WriteStartArray("anyOf");
                w.WriteStartObject();
                Write(w, many.Item, inList);
                w.WriteEndObject();
                w.WriteStartObject();
                WriteList(w, many.Item, 1);
                w.WriteEndObject();
                w.WriteEndArray();
                return;
            case FormType.List list:
                WriteList(w, list.Item, list.AtLeast);
                return;
            case FormType.Map map:
                WriteMap(w, map, inList);
                return;
        }
    }

    private static void WriteList(Utf8JsonWriter w, FormType item, int atLeast)
    {
        w.WriteString("type", "array");
        if (atLeast > 0) w.WriteNumber("minItems", atLeast);
        w.WriteStartObject("items");
        Write(w, item, inList: true);
        w.WriteEndObject();
    }

    private static void WriteMap(Utf8JsonWriter w, FormType.Map map, bool required)
    {
        w.WriteString("type", "object");
        w.WriteBoolean("additionalProperties", false);
        if (required) Names(w, "required", map.Keys.Where(k => k.Required).Select(k => k.Name));
        w.WriteStartObject("properties");
        foreach (var key in map.Keys)
        {
            w.WriteStartObject(key.Name);
            w.WriteString("description", Description(key));
            Write(w, key.Type, required);
            w.WriteEndObject();
        }

        w.WriteEndObject();
    }

    /// <summary>What a whole file must have, map by map; lists see to their items themselves.</summary>
    private static void WriteRequired(Utf8JsonWriter w, FormType.Map map)
    {
        Names(w, "required", map.Keys.Where(k => k.Required).Select(k => k.Name));
        var below = map.Keys.Where(k => k.Type is FormType.Map m && m.Keys.Any(x => x.Required || x.Type is FormType.Map)).ToList();
        if (below.Count == 0) return;
        w.WriteStartObject("properties");
        foreach (var key in below)
        {
            w.WriteStartObject(key.Name);
            WriteRequired(w, (FormType.Map)key.Type);
            w.WriteEndObject();
        }

        w.WriteEndObject();
    }

    private static string Description(FormKey key) => key.Type is FormType.Choice choice
        ? key.Means + " " + string.Join("; ", choice.Words.Select(x => $"{x.Word}: {x.Means}")) + "."
        : key.Means;

    private static void Names(Utf8JsonWriter w, string key, IEnumerable<string> names)
    {
        w.WriteStartArray(key);
        foreach (var name in names) w.WriteStringValue(name);
        w.WriteEndArray();
    }
}
