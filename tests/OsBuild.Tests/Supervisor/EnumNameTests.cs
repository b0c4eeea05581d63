using System.Text.Json;
using System.Text.Json.Serialization;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>What lies on devices was written by the serializer's own converter; ours reads it and writes the same.</summary>
public sealed class EnumNameTests
{
    private static void Check<T>() where T : struct, Enum
    {
        var theirs = new JsonSerializerOptions { Converters = { new JsonStringEnumConverter<T>() } };
        // On a property the options' converter comes before the type's own, so each writes for itself.
        var ours = new JsonSerializerOptions { Converters = { new EnumName<T>() } };
        foreach (var value in Enum.GetValues<T>())
        {
            var text = JsonSerializer.Serialize(value, theirs);
            Assert.Equal(text, JsonSerializer.Serialize(value, ours));
            Assert.Equal(value, JsonSerializer.Deserialize<T>(text, ours));
            Assert.Equal(value, JsonSerializer.Deserialize<T>(text.ToLowerInvariant(), ours));
        }

        foreach (var wrong in (string[])["\"Nothing of it\"", "\"\"", "null", "true", "{}", "[]"])
        {
            Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<T>(wrong, theirs));
            Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<T>(wrong, ours));
        }
    }

    [Fact]
    public void The_enums_of_the_state_are_written_and_read_as_the_serializer_does_it()
    {
        Check<MountKind>();
        Check<RestartPolicy>();
        Check<PullPolicy>();
        Check<DependencyCondition>();
        Check<UpdateStrategy>();
    }

    [Fact]
    public void Every_enum_of_the_state_has_this_converter() =>
        Assert.All(typeof(Service).Assembly.GetTypes().Where(t => t.IsEnum && StateJson.Default.GetTypeInfo(t) is not null), t =>
            Assert.Equal(typeof(EnumName<>).MakeGenericType(t), ((JsonConverterAttribute)Attribute.GetCustomAttribute(t, typeof(JsonConverterAttribute))!).ConverterType));
}
