using Fleet.Chat.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Npgsql;

namespace Fleet.Chat.Tests.Data;

public sealed class SchemaTests(ChatFixture chat) : IClassFixture<ChatFixture>
{
    [Fact]
    public async Task The_model_is_the_schema_column_by_column()
    {
        await using var db = new ChatDbContext(new DbContextOptionsBuilder<ChatDbContext>().UseNpgsql(chat.Database.ConnectionString).Options);
        var modelled = db.Model.GetEntityTypes().SelectMany(entity => entity.GetProperties().Select(property => new Column(
            entity.GetTableName()!, property.GetColumnName(StoreObjectIdentifier.Table(entity.GetTableName()!))!, property.GetColumnType(), property.IsNullable)));

        var actual = await ReadColumnsAsync();

        Assert.Equal(actual.Order(), modelled.Order());
    }

    private async Task<List<Column>> ReadColumnsAsync()
    {
        await using var connection = new NpgsqlConnection(chat.Database.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("""
            select table_name, column_name, data_type, is_nullable = 'YES' from information_schema.columns
            where table_schema = 'public' and table_name in ('sessions', 'messages', 'runs', 'feedback')
            """, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var columns = new List<Column>();
        while (await reader.ReadAsync()) columns.Add(new Column(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetBoolean(3)));
        return columns;
    }

    private sealed record Column(string Table, string Name, string Type, bool IsNullable) : IComparable<Column>
    {
        public int CompareTo(Column? other) => string.CompareOrdinal(ToString(), other?.ToString());
    }
}
