using System.Text.Json;
using Fleet.Chat.Runs;
using Fleet.Chat.Sessions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Fleet.Chat.Data;

/// <summary>The chat database. Names are written out: the schema is the SQL migrations', and a test holds the two together.</summary>
public sealed class ChatDbContext(DbContextOptions<ChatDbContext> options) : DbContext(options)
{
    public DbSet<ChatSession> Sessions => Set<ChatSession>();
    public DbSet<Message> Messages => Set<Message>();
    public DbSet<Run> Runs => Set<Run>();
    public DbSet<Feedback> Feedback => Set<Feedback>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<ChatSession>(MapSession);
        modelBuilder.Entity<Message>(MapMessage);
        modelBuilder.Entity<Run>(MapRun);
        modelBuilder.Entity<Feedback>(MapFeedback);
    }

    private static void MapSession(EntityTypeBuilder<ChatSession> session)
    {
        session.ToTable("sessions").HasKey(s => s.Id);
        session.Property(s => s.Id).HasColumnName("id").ValueGeneratedNever();
        session.Property(s => s.UserId).HasColumnName("user_id");
        session.Property(s => s.Title).HasColumnName("title");
        session.Property(s => s.Pinned).HasColumnName("pinned");
        Json(session.Property(s => s.Config).HasColumnName("config"));
        session.Property(s => s.CreatedAt).HasColumnName("created_at");
        session.Property(s => s.UpdatedAt).HasColumnName("updated_at");
        session.Property(s => s.DeletedAt).HasColumnName("deleted_at");
    }

    private static void MapMessage(EntityTypeBuilder<Message> message)
    {
        message.ToTable("messages").HasKey(m => m.Id);
        message.Property(m => m.Id).HasColumnName("id").ValueGeneratedNever();
        message.Property(m => m.SessionId).HasColumnName("session_id");
        message.Property(m => m.ParentId).HasColumnName("parent_id");
        message.Property(m => m.Role).HasColumnName("role").HasConversion(LowerCase<MessageRole>());
        message.Property(m => m.Content).HasColumnName("content");
        message.Property(m => m.Status).HasColumnName("status").HasConversion(LowerCase<MessageStatus>());
        message.Property(m => m.PromptTokens).HasColumnName("prompt_tokens");
        message.Property(m => m.CachedTokens).HasColumnName("cached_tokens");
        message.Property(m => m.CompletionTokens).HasColumnName("completion_tokens");
        message.Property(m => m.ProcessingTimeMs).HasColumnName("processing_time_ms");
        message.Property(m => m.TimeToFirstTokenMs).HasColumnName("time_to_first_token_ms");
        message.Property(m => m.Model).HasColumnName("model");
        message.Property(m => m.FinishReason).HasColumnName("finish_reason");
        Json(message.Property(m => m.Parameters).HasColumnName("parameters"));
        Json(message.Property(m => m.Citations).HasColumnName("citations"));
        Json(message.Property(m => m.Notices).HasColumnName("notices"));
        Json(message.Property(m => m.Error).HasColumnName("error"));
        message.Property(m => m.CreatedAt).HasColumnName("created_at");
        // Self reference without navigation: rows are inserted parent first.
        message.HasOne<Message>().WithMany().HasForeignKey(m => m.ParentId);
        message.HasOne<ChatSession>().WithMany().HasForeignKey(m => m.SessionId);
    }

    private static void MapRun(EntityTypeBuilder<Run> run)
    {
        run.ToTable("runs").HasKey(r => r.Id);
        run.Ignore(r => r.IsActive);
        run.Property(r => r.Id).HasColumnName("id").ValueGeneratedNever();
        run.Property(r => r.SessionId).HasColumnName("session_id");
        run.Property(r => r.UserId).HasColumnName("user_id");
        run.Property(r => r.TenantId).HasColumnName("tenant_id");
        run.Property(r => r.UserMessageId).HasColumnName("user_message_id");
        run.Property(r => r.MessageId).HasColumnName("message_id");
        run.Property(r => r.Surface).HasColumnName("surface");
        run.Property(r => r.Status).HasColumnName("status").HasConversion(LowerCase<RunStatus>());
        Json(run.Property(r => r.Passages).HasColumnName("passages"));
        run.Property(r => r.LastSeq).HasColumnName("last_seq");
        run.Property(r => r.CancelRequested).HasColumnName("cancel_requested");
        run.Property(r => r.Attempts).HasColumnName("attempts");
        run.Property(r => r.Owner).HasColumnName("owner");
        run.Property(r => r.LeaseExpiresAt).HasColumnName("lease_expires_at");
        run.Property(r => r.IdempotencyKey).HasColumnName("idempotency_key");
        run.Property(r => r.RequestHash).HasColumnName("request_hash");
        run.Property(r => r.CreatedAt).HasColumnName("created_at");
        run.Property(r => r.StartedAt).HasColumnName("started_at");
        run.Property(r => r.FinishedAt).HasColumnName("finished_at");
        run.HasOne<ChatSession>().WithMany().HasForeignKey(r => r.SessionId);
        run.HasOne<Message>().WithMany().HasForeignKey(r => r.MessageId);
        run.HasOne<Message>().WithMany().HasForeignKey(r => r.UserMessageId);
    }

    private static void MapFeedback(EntityTypeBuilder<Feedback> feedback)
    {
        feedback.ToTable("feedback").HasKey(f => new { f.MessageId, f.UserId });
        feedback.Property(f => f.MessageId).HasColumnName("message_id");
        feedback.Property(f => f.UserId).HasColumnName("user_id");
        feedback.Property(f => f.Rating).HasColumnName("rating");
        Json(feedback.Property(f => f.Reasons).HasColumnName("reasons"));
        feedback.Property(f => f.Comment).HasColumnName("comment");
        feedback.Property(f => f.UpdatedAt).HasColumnName("updated_at");
        feedback.HasOne<Message>().WithMany().HasForeignKey(f => f.MessageId);
    }

    // Values are replaced whole, never edited in place, so comparing them as they are is enough for change tracking.
    private static void Json<T>(PropertyBuilder<T> property) => property
        .HasColumnType("jsonb")
        .HasConversion(
            value => JsonSerializer.Serialize(value, JsonSerializerOptions.Web),
            text => JsonSerializer.Deserialize<T>(text, JsonSerializerOptions.Web)!);

    private static ValueConverter<TEnum, string> LowerCase<TEnum>() where TEnum : struct, Enum =>
        new(value => value.ToString().ToLowerInvariant(), text => Enum.Parse<TEnum>(text, ignoreCase: true));
}
