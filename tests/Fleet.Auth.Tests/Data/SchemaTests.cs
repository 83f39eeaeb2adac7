using Fleet.Auth.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace Fleet.Auth.Tests.Data;

/// <summary>The SQL migrations are the truth; the EF model has to say the same.</summary>
public sealed class SchemaTests(SharedAuthServer shared)
{
    [Fact]
    public async Task Every_mapped_column_exists_with_its_type_and_nullability_and_no_other()
    {
        using var scope = shared.Server.Services.CreateScope();
        var model = scope.ServiceProvider.GetRequiredService<AuthDbContext>().Model;

        var mapped = model.GetEntityTypes()
            .SelectMany(entity => entity.GetProperties().Select(property => Describe(entity, property)))
            .Order(StringComparer.Ordinal)
            .ToArray();

        var tables = model.GetEntityTypes().Select(entity => entity.GetTableName()!).Distinct().ToArray();
        Assert.Equal(mapped, await ColumnsAsync(tables));
    }

    [Fact]
    public async Task Every_mapped_key_is_the_primary_key()
    {
        using var scope = shared.Server.Services.CreateScope();
        var model = scope.ServiceProvider.GetRequiredService<AuthDbContext>().Model;

        foreach (var entity in model.GetEntityTypes())
        {
            var expected = entity.FindPrimaryKey()!.Properties.Select(property => property.GetColumnName()).Order(StringComparer.Ordinal);
            var actual = (string)(await shared.Server.Database.ScalarAsync($"""
                SELECT string_agg(a.attname::text, ',' ORDER BY a.attname::text COLLATE "C")
                FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                WHERE i.indisprimary AND i.indrelid = '{entity.GetTableName()}'::regclass
                """))!;
            Assert.Equal(string.Join(',', expected), actual);
        }
    }

    private static string Describe(IEntityType entity, IProperty property) =>
        $"{entity.GetTableName()}.{property.GetColumnName()} {property.GetColumnType()} {(property.IsNullable ? "null" : "not null")}";

    private async Task<string[]> ColumnsAsync(string[] tables)
    {
        await using var source = NpgsqlDataSource.Create(shared.Server.Database.ConnectionString);
        await using var command = source.CreateCommand("""
            SELECT table_name || '.' || column_name || ' ' || data_type || CASE is_nullable WHEN 'YES' THEN ' null' ELSE ' not null' END
            FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ANY ($1)
            """);
        command.Parameters.Add(new() { Value = tables });
        await using var reader = await command.ExecuteReaderAsync();
        var columns = new List<string>();
        while (await reader.ReadAsync())
            columns.Add(reader.GetString(0));

        return [.. columns.Order(StringComparer.Ordinal)];
    }
}
