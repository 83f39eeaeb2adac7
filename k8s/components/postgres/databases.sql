-- Run once, when the volume is new: one database per service. Extensions are created by the services' migrations.
CREATE DATABASE authdb;
CREATE DATABASE chatdb;
CREATE DATABASE knowledgedb;
CREATE DATABASE analyticsdb;
CREATE DATABASE notificationdb;
