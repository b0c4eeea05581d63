using System.Text.Json;
using System.Text.RegularExpressions;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.Tests.Builder.Boards;

/// <summary>The JSON Schema says what the reader does. It is walked here by a validator of its own, which knows the words the schema uses and no others.</summary>
public sealed class BoardSchemaTests
{
    private static readonly JsonElement Schema = JsonDocument.Parse(File.ReadAllText(Path.Combine(BoardFiles.Configs, "board.schema.json"))).RootElement;

    public static TheoryData<string> Names => [.. BoardCatalog.Names];

    public static TheoryData<string> FormFiles => [.. Directory.EnumerateFiles(Path.Combine(BoardFiles.Here(), "Fail"), "form-*.yaml").Select(Path.GetFileName).OfType<string>()];

    [Fact]
    public void The_file_is_current() => BoardFiles.Golden(Path.Combine(BoardFiles.Configs, "board.schema.json"), BoardSchema.Text());

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_board_is_valid_as_it_stands_and_with_its_family(string name)
    {
        var (text, file) = BoardCatalog.OpenBoard(name);
        var board = BoardYaml.Read(text, file, [])!;
        Assert.Empty(Errors(board, Schema, ""));
        if (board["extends"] is not YamlNode.Scalar family) return;
        var merged = BoardYaml.Merge(BoardYaml.Read(BoardCatalog.OpenFamily(family.Text)!.Value.Text, "family", [])!, board);
        // Without `extends` the schema wants every key that a whole board must have.
        Assert.Empty(Errors(merged with { Entries = [.. merged.Entries.Where(e => e.Key != "extends")] }, Schema, ""));
    }

    [Fact]
    public void A_file_with_every_key_is_valid()
    {
        var everything = BoardYaml.Read(new StringReader(BoardFiles.Text("Everything.yaml")), "everything", [])!;
        Assert.Empty(Errors(everything, Schema, ""));
    }

    [Theory]
    [MemberData(nameof(FormFiles))]
    public void What_the_reader_refuses_the_schema_refuses(string file)
    {
        // Which families there are, and multiples of 512, are the reader's alone.
        if (file is "form-unknown-family.yaml" or "form-odd-size.yaml") return;
        var board = BoardYaml.Read(new StringReader(BoardFiles.Text(Path.Combine("Fail", file))), file, [])!;
        if (board["extends"] is YamlNode.Scalar)
        {
            var merged = BoardYaml.Merge(BoardYaml.Read(BoardCatalog.OpenFamily("uefi")!.Value.Text, "family", [])!, board);
            board = merged with { Entries = [.. merged.Entries.Where(e => e.Key != "extends")] };
        }

        Assert.NotEmpty(Errors(board, Schema, ""));
    }

    [Fact]
    public void Keys_and_words_are_those_of_the_form() => Same(BoardForm.Root, Schema);

    private static void Same(FormType type, JsonElement schema)
    {
        switch (type)
        {
            case FormType.Map map:
                Assert.Equal(map.Keys.Select(k => k.Name), schema.GetProperty("properties").EnumerateObject().Select(p => p.Name));
                Assert.False(schema.GetProperty("additionalProperties").GetBoolean());
                foreach (var key in map.Keys) Same(key.Type, schema.GetProperty("properties").GetProperty(key.Name));
                return;
            case FormType.List list:
                Same(list.Item, schema.GetProperty("items"));
                return;
            case FormType.Choice choice:
                Assert.Equal(choice.Words.Select(w => w.Word), schema.GetProperty("enum").EnumerateArray().Select(e => e.GetString()));
                return;
        }
    }

    private static List<string> Errors(YamlNode node, JsonElement schema, string path)
    {
        var errors = new List<string>();
        foreach (var rule in schema.EnumerateObject())
        {
            switch (rule.Name)
            {
                case "$schema" or "title" or "description" or "then":
                    break;
                case "type" when !IsType(node, rule.Value.GetString()!):
                    errors.Add($"{path}: not of type {rule.Value}");
                    break;
                case "enum" when node is not YamlNode.Scalar s || rule.Value.EnumerateArray().All(e => e.GetString() != s.Text):
                    errors.Add($"{path}: none of {rule.Value}");
                    break;
                case "pattern" when node is YamlNode.Scalar s && !Regex.IsMatch(s.Text, rule.Value.GetString()!, RegexOptions.ECMAScript):
                    errors.Add($"{path}: does not match {rule.Value}");
                    break;
                case "minLength" when node is YamlNode.Scalar { Text.Length: 0 }:
                    errors.Add($"{path}: empty");
                    break;
                case "minimum" when Integer(node) is { } n && n < rule.Value.GetInt64():
                case "maximum" when Integer(node) is { } m && m > rule.Value.GetInt64():
                    errors.Add($"{path}: {rule.Name} is {rule.Value}");
                    break;
                case "minItems" when node is YamlNode.List list && list.Items.Count < rule.Value.GetInt32():
                    errors.Add($"{path}: fewer than {rule.Value}");
                    break;
                case "items" when node is YamlNode.List list:
                    for (var i = 0; i < list.Items.Count; i++) errors.AddRange(Errors(list.Items[i], rule.Value, $"{path}[{i}]"));
                    break;
                case "required" when node is YamlNode.Map map:
                    errors.AddRange(rule.Value.EnumerateArray().Where(k => map[k.GetString()!] is null).Select(k => $"{path}: no {k}"));
                    break;
                case "properties" when node is YamlNode.Map map:
                    foreach (var e in map.Entries)
                        if (rule.Value.TryGetProperty(e.Key, out var below)) errors.AddRange(Errors(e.Value, below, $"{path}.{e.Key}"));
                    break;
                case "additionalProperties" when node is YamlNode.Map map:
                    errors.AddRange(map.Entries.Where(e => !schema.GetProperty("properties").TryGetProperty(e.Key, out _)).Select(e => $"{path}: unknown {e.Key}"));
                    break;
                case "anyOf":
                    if (rule.Value.EnumerateArray().All(s => Errors(node, s, path).Count > 0)) errors.Add($"{path}: fits none of {rule.Value}");
                    break;
                case "if":
                    if (Errors(node, rule.Value, path).Count > 0) errors.AddRange(Errors(node, schema.GetProperty("else"), path));
                    break;
                case "else" or "type" or "enum" or "pattern" or "minLength" or "minimum" or "maximum" or "minItems" or "items" or "required" or "properties" or "additionalProperties":
                    break;
                default:
                    errors.Add($"{path}: this validator does not know `{rule.Name}`");
                    break;
            }
        }

        return errors;
    }

    /// <summary>YAML's core schema gives scalars their types by their looks; quotes are not looked at, as board files need none for numbers.</summary>
    private static bool IsType(YamlNode node, string type) => type switch
    {
        "object" => node is YamlNode.Map,
        "array" => node is YamlNode.List,
        "integer" => Integer(node) is not null,
        "boolean" => node is YamlNode.Scalar { Text: "true" or "false" },
        "string" => node is YamlNode.Scalar,
        _ => false,
    };

    private static long? Integer(YamlNode node) => node is YamlNode.Scalar s ? s.Text.StartsWith("0x", StringComparison.Ordinal)
        ? long.TryParse(s.Text.AsSpan(2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out var hex) ? hex : null
        : long.TryParse(s.Text, out var number) ? number : null : null;
}
