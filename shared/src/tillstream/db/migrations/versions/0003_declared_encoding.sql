-- What was declared for this one file. Jobs of before have none, and are read by the setting of file-loader.
ALTER TABLE shop.file_jobs ADD COLUMN declared_encoding TEXT;
